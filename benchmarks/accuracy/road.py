"""Before labels: the recipe's network learns roads, and what stands beside them, from a published network's labels.

The pictures are road video, photographs and cars that nobody labelled for this; the labels are ESPNetv2's, which was
trained on Cityscapes, in the classes of the labelled folder. None of that folder's own pictures is looked at, so a
drive that is left out of a later training (``make train-drives ARGS="--begin-from runs/road"``) stays unseen.

Example: python -m benchmarks.accuracy.road --pretrained efficientnet-lite0.pth
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from benchmarks.resumable import resumable
from narrows.contract.errors import ConfigError
from narrows.models.dataset import ClassList
from narrows.models.nn.espnetv2 import ESPNetV2
from narrows.models.training.config import TrainingConfig, phases_for
from narrows.models.training.labellers import cityscapes_labeller
from narrows.models.training.loop import train
from narrows.models.training.pseudo_labels import write_pseudo_labels
from narrows.runtime.pictures import frame_picture, read_picture

SHARED = Path("../shared/data")
AS_CLASSES = Path(__file__).with_name("as_camvid.json")
VIDEOS = {"videos/car-detection.mp4": (6, 3), "videos/udacity_vehicle_test.mp4": (1, 4)}
"""Every so many frames, each so many times: a fixed camera shows little that is new, one that drives is rare here."""
PHOTOGRAPHS = ("regions/images/train", "regions/images/val", "car_parts/trainingset")
CONFIDENCE = 0.45
"""A class that has more than all others together has a label, and a few that nearly do."""
EPOCHS, BAD_SHARE = 8, 0.3


def main() -> None:
    parser = argparse.ArgumentParser(prog="make train-road", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=SHARED / "camvid", help="labelled folder: its classes, no picture")
    parser.add_argument("--shared", type=Path, default=SHARED, help="folder of videos, regions, car_parts and weights")
    parser.add_argument("--pretrained", type=Path, required=True, help="EfficientNet-Lite0 ImageNet weights (.pth)")
    parser.add_argument("--run", type=Path, default=Path("runs/road"), help="run folder; its data lie beside it")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="at two thirds of the size")
    parser.add_argument("--threads", type=int, default=1, help="beside other work one is fastest")
    options = parser.parse_args()
    classes = ClassList.read(options.data / "classes.json")
    labelled = options.run.with_name(f"{options.run.name}-data")
    if not is_labelled(labelled, classes):
        _label(classes, options.shared, labelled)
    config = TrainingConfig(
        data=labelled,
        split="train",
        pretrained=options.pretrained,
        bad_share=BAD_SHARE,
        phases=phases_for(classes.size, options.epochs, 0),
        threads=options.threads,
    )
    train(config, options.run, partial(print, flush=True))


def is_labelled(folder: Path, classes: ClassList) -> bool:
    """Whether the pictures of a run are labelled, in these classes and at their size.

    Raises:
        ConfigError: they are, for another folder than is meant.
    """
    if not (folder / "train.txt").is_file():
        return False
    found = ClassList.read(folder / "classes.json")
    if (found.names, found.size) != (classes.names, classes.size):
        raise ConfigError(f"{folder} is labelled in other classes, or of another size, than --data: name another --run")
    return True


def _label(classes: ClassList, shared: Path, out: Path) -> None:
    pictures = out.with_name(f"{out.name}-pictures")
    pictures.mkdir(parents=True, exist_ok=True)
    for name, picture in _pictures(shared):
        _cropped(picture, classes.size).save(pictures / f"{name}.png", compress_level=1)
    teacher = ESPNetV2.load(shared / "weights" / "espnetv2_s_2.0_city_1024x512.pth")
    labeller = cityscapes_labeller(teacher, classes, AS_CLASSES)
    write_pseudo_labels(labeller, classes, pictures, out, split="train", confidence=CONFIDENCE)


def _pictures(shared: Path) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    import av  # noqa: PLC0415 -- the camera's extra, and videos alone need it

    for place, (every, times) in VIDEOS.items():
        with av.open(str(shared / place)) as video:
            for number, frame in enumerate(islice(video.decode(video=0), 0, None, every)):
                for again in range(times):
                    yield f"{Path(place).stem}_{number:04}_{again}", frame_picture(frame)
    for folder in PHOTOGRAPHS:
        for path in sorted((shared / folder).rglob("*.jpg")):
            yield f"{folder.replace('/', '-')}_{path.stem}", read_picture(path)


def _cropped(picture: NDArray[np.uint8], size: tuple[int, int]) -> Image.Image:
    """Its middle, as large as covers ``size``: nothing is squeezed, nothing is added."""
    return ImageOps.fit(Image.fromarray(picture), size, Image.Resampling.BILINEAR)


if __name__ == "__main__":
    sys.exit(resumable("make train-road", main))
