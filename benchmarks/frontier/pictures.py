"""What else a camera without any network may send: a picture, which a network of the camera's full size reads.

::

    picture ─► AVIF or H.264 ═══════════════► decoded picture ─► encoder, decoder of the demo's size ─► mask

The network is the recipe's of ``make train-drives``, which never saw the drive that is judged. It reads pictures as it
was trained, and once more after it was used to the codec's own (*tuned*); a codec's curve is the better of both.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from benchmarks.frontier.data import Parts
from benchmarks.frontier.derived import is_current
from benchmarks.frontier.plan import Plan
from benchmarks.frontier.score import Scored, keep, read, scored_masks
from benchmarks.rate.codecs import AVIF, Coded, Picture, Setting, bits_of
from benchmarks.rate.progress import say
from benchmarks.rate.video import H264
from narrows.models.dataset import FolderDataset, LabelledPicture
from narrows.models.nn.network import JointNetwork
from narrows.models.training.augment import normalise
from narrows.models.training.config import TrainingConfig, TrainingPhase
from narrows.models.training.loop import train
from narrows.models.training.run import CHECKPOINT, load_checkpoint

SCALES = (0.35, 0.5, 0.75, 1.0)
TUNING_EPOCHS, TUNING_LEARNING_RATE = 4, 4e-4
_TUNING_ZOOM = (1.0, 1.25)
"""Little: a codec's blocks are to keep their size."""
_FINEST = 0
"""The rate level: no symbols travel, so it costs nothing."""
Labels = NDArray[np.uint8]


@dataclass(frozen=True)
class Codec:
    """A way to send pictures.

    Attributes:
        name: in tables.
        qualities: of the codec itself, each tried at each of :data:`SCALES`.
        tuned_at: the setting whose pictures a network is used to: the best untuned one of about 0.05 bits per pixel.
        code: consecutive pictures of one drive to what the cloud sees.
    """

    name: str
    qualities: tuple[int, ...]
    tuned_at: Setting
    code: Callable[[Sequence[Picture], Setting], Iterable[Coded]]

    @property
    def settings(self) -> tuple[Setting, ...]:
        """Every scale with every quality."""
        return tuple(Setting(scale, quality) for scale in SCALES for quality in self.qualities)


def _stills(pictures: Sequence[Picture], setting: Setting) -> Iterator[Coded]:
    return (AVIF.code(picture, setting) for picture in pictures)


CODECS = (
    Codec("AVIF", (0, 8, 16, 28), Setting(0.35, 28), _stills),
    Codec("H.264", (28, 32, 36, 40, 46), Setting(0.5, 36), H264.code),
)


def judge_pictures(
    run: Path, network: Path, data: Path, parts: Parts, plan: Plan, *, epochs: int = TUNING_EPOCHS
) -> Mapping[str, Scored]:
    """Every codec at every setting, untuned and tuned; what was scored or tuned of this network before is read.

    Args:
        run: where scores and tunings are kept.
        network: the run folder of the network, trained without the drive that is judged.
        data: the labelled folder.
        parts: of it, what the network is tuned on, and judged on.
        plan: which names that drive.
        epochs: of a tuning.

    Raises:
        WeightsMismatch: ``network`` holds no checkpoint.
    """
    found: dict[str, Scored] = {}
    for codec in CODECS:
        folder = run / codec.name
        tuned = partial(_tuned, network, folder, data, codec, parts, plan, epochs)
        for suffix, load in (("", partial(load_checkpoint, network / CHECKPOINT)), (", tuned", tuned)):
            kept = folder / f"scores{suffix.removeprefix(', ')}.npz"
            if not is_current(kept, network / CHECKPOINT):
                judged = load().eval()
                ways = {f"{codec.name} {_name(each)}": _score(judged, codec, each, parts) for each in codec.settings}
                folder.mkdir(parents=True, exist_ok=True)
                keep(kept, ways)
            found |= {f"{way}{suffix}": scored for way, scored in read(kept).items()}
    return found


def _name(setting: Setting) -> str:
    return f"x{setting.scale:g} q{setting.quality}"


@torch.no_grad()
def _score(network: JointNetwork, codec: Codec, setting: Setting, parts: Parts) -> Scored:
    say(f"judging {codec.name} {_name(setting)}")
    sizes, masks = [], []
    for coded in codec.code([sample.picture for sample in parts.judged], setting):
        sizes.append(bits_of(coded.size_bytes) // 8)
        pictures = torch.from_numpy(normalise(coded.picture))[None]
        logits = network(pictures, torch.tensor([_FINEST]), rounded_rate=True).logits
        masks.append(logits[0].argmax(dim=0).to(torch.uint8).numpy())
    return scored_masks(sizes, masks, parts)


def _tuned(
    network: Path, folder: Path, data: Path, codec: Codec, parts: Parts, plan: Plan, epochs: int
) -> JointNetwork:
    start = load_checkpoint(network / CHECKPOINT)
    if not is_current(folder / "run" / CHECKPOINT, network / CHECKPOINT):
        shutil.rmtree(folder / "run", ignore_errors=True)  # a tuning of what the network was before
    say(f"tuning the cloud's network to {codec.name} {_name(codec.tuned_at)}")
    seen = write_coded(folder / "data", data / "classes.json", codec, parts)
    config = TrainingConfig(
        data=seen.root,
        split="train",
        pretrained=None,
        leave_out=f"{plan.leave_out}_*",
        bad_share=0.0,
        phases=(TrainingPhase(epochs, parts.classes.size, _TUNING_ZOOM),),
        level_shares=tuple(float(level == _FINEST) for level in range(start.shape.levels)),
        learning_rate=TUNING_LEARNING_RATE,
        batch=plan.batch,
        threads=1,
    )
    return load_checkpoint(train(config, folder / "run", say, start=start))


def write_coded(folder: Path, classes: Path, codec: Codec, parts: Parts) -> FolderDataset:
    """A labelled folder of the training pictures as the cloud sees them through a codec, drive by drive."""
    shutil.rmtree(folder, ignore_errors=True)
    for kind in ("images", "labels"):
        (folder / kind / "train").mkdir(parents=True)
    for _, group in groupby(parts.train, key=lambda sample: sample.name.partition("_")[0]):
        samples = list(group)
        seen = codec.code([sample.picture for sample in samples], codec.tuned_at)
        for sample, coded in zip(samples, seen, strict=True):
            _write(folder, sample, coded.picture)
    (folder / "train.txt").write_text("\n".join(sample.name for sample in parts.train))
    shutil.copyfile(classes, folder / "classes.json")
    return FolderDataset.open(folder, "train")


def _write(folder: Path, sample: LabelledPicture, picture: Picture) -> None:
    Image.fromarray(picture).save(folder / "images/train" / f"{sample.name}.png", compress_level=1)
    Image.fromarray(sample.labels).save(folder / "labels/train" / f"{sample.name}.png", compress_level=1)
