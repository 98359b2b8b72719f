"""A bundle made smaller: pruned, trained a little as the int8 network that it will be, taught by what it was.

::

    bundle ─► its network ─► prune ─► train: QAT, the bundle as teacher ─► checkpoint ─► export (int8) ─► bundle
                                         └── without epochs: PTQ alone

Each part may be left out. The training is that of ``narrows train``: it is resumable, and its run folder is the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from narrows.contract.bundle import Bundle
from narrows.models.compression.pruning import choose, pruned
from narrows.models.dataset import FolderDataset
from narrows.models.export.labelling import Labelling
from narrows.models.export.quantise import check_data
from narrows.models.export.write import write_bundle
from narrows.models.training.augment import normalise
from narrows.models.training.config import TrainingConfig, TrainingPhase
from narrows.models.training.loop import train
from narrows.models.training.run import CHECKPOINT, Run, load_checkpoint
from narrows.models.training.run_folder import CONFIG, keep_settings, locked
from narrows.models.training.warm_start import network_of

SETTLING_PICTURES = 24
_ZOOM = (1.0, 2.0)
COMPRESSION = "compression.json"
"""What a run folder holds of a compression, beside what the training keeps there."""
_MAY_CHANGE = frozenset({"batch", "threads"})
"""What a run that goes on may be given another of."""
Say = Callable[[str], None]


@dataclass(frozen=True)
class Compression:
    """What is done to a bundle.

    Attributes:
        prune: share of the cost to remove.
        bits_weight: of the bits at the bottleneck in that cost; the encoder's multiply-accumulates have the rest.
        quantisation_aware: the training rounds as the export will.
        distil: the bundle, as it was, is asked beside the labels.
        epochs: of training; 0 for none.
    """

    prune: float = 0.0
    bits_weight: float = 0.0
    quantisation_aware: bool = False
    distil: bool = False
    epochs: int = 0
    learning_rate: float = 1.5e-4
    batch: int = 4
    bad_share: float = 0.0
    threads: int = 1
    seed: int = 1

    @property
    def name(self) -> str:
        """What is combined, as tables have it."""
        parts = [f"prune {self.prune:g}"] if self.prune else []
        parts += ["distil"] if self.distil and self.epochs else []
        parts.append("QAT" if self.quantisation_aware and self.epochs else "PTQ")
        return " + ".join(parts)


def compress(bundle: Bundle, data: FolderDataset, how: Compression, run: Path, out: Path, say: Say) -> Bundle:
    """Write the smaller bundle to ``out``; a run that was stopped goes on.

    Raises:
        BundleError: the bundle was made for other classes or pictures than the data's.
        WeightsMismatch: its encoder is not of the family that is pruned here.
        ConfigError: the run folder is another command's, was begun with other options, or is in use.
    """
    check_data(bundle, data)
    pictures = _pictures(data)
    start = network_of(bundle, pictures)
    if how.prune:
        kept = choose(start, pictures[:4], how.prune, how.bits_weight)
        before, after = start.shape.latent_channels, len(kept.latent)
        start = pruned(start, kept)
        say(f"pruned: {sum(map(len, kept.hidden))} hidden channels stay, and {after} of {before} in the latent")
        if kept.gone < how.prune - 0.001:
            say(f"pruned less than asked: {kept.gone:.1%} of the cost instead of {how.prune:.0%}; no more can go")
    config = _config(bundle, data, how)
    asked = asdict(how) | {
        "bundle": bundle.hex_id,
        "split": data.split,
        "samples": data.samples,
        "classes": data.classes.names,
    }
    with locked(run):
        keep_settings(run / COMPRESSION, asked, may_change=_MAY_CHANGE, begun=_begun(run, how))
        if not how.epochs:
            Run.begin(start, config).save(run / CHECKPOINT)
    if how.epochs:
        train(config, run, say, start=start, dataset=data)
    manifest = bundle.manifest
    provenance = f"{how.name} of bundle {bundle.hex_id} ({manifest.name}); {manifest.provenance}"
    label = Labelling(f"{manifest.name}-small", manifest.version, manifest.licence, provenance)
    return write_bundle(load_checkpoint(run / CHECKPOINT), data, label, out, say)


def _begun(run: Path, how: Compression) -> bool:
    """Whether the folder's checkpoint is another one's to keep: where it is trained on, ``train`` sees to that."""
    known = (run / COMPRESSION).is_file() or (not how.epochs and (run / CONFIG).is_file())
    return known and (run / CHECKPOINT).is_file()


def _pictures(data: FolderDataset) -> Tensor:
    names = data.names[:: max(1, len(data.names) // SETTLING_PICTURES)]
    return torch.from_numpy(np.stack([normalise(data.read(name).picture) for name in names]))


def _config(bundle: Bundle, data: FolderDataset, how: Compression) -> TrainingConfig:
    levels = len(bundle.manifest.levels)
    prices = np.geomspace(0.12, 40.0, levels) if levels > 1 else np.array([0.5])
    return TrainingConfig(
        data=data.root,
        split=data.split,
        pretrained=None,
        teacher=bundle.folder if how.distil else None,
        phases=(TrainingPhase(how.epochs, data.classes.size, _ZOOM),),
        batch=how.batch,
        learning_rate=how.learning_rate,
        warmup_steps=10,
        prices=tuple(float(price) for price in prices),
        frozen_norms=True,
        bad_share=how.bad_share,
        average_decay=0.98,
        quantisation_aware=how.quantisation_aware,
        seed=how.seed,
        threads=how.threads,
        bfloat16=not how.quantisation_aware,
    )
