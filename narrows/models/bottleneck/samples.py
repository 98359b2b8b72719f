"""The user's folder: pictures, and what is said of them if anything is.

A labelled folder (``classes.json``, ``SPLIT.txt``, ``images/``, ``labels/``) has label maps; in a folder of folders
that are called like classes, or by their numbers, each picture has a class; any other folder has pictures alone.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from narrows.contract.errors import DatasetError
from narrows.models.bottleneck.objective import IGNORED
from narrows.models.dataset import FolderDataset
from narrows.models.dataset.folder import check_labels
from narrows.models.split.evaluation import pictures_below
from narrows.models.split.feeding import Feeding, Picture
from narrows.runtime.pictures import read_labels, read_picture

_HELD_OUT_EVERY, _MOST_HELD_OUT = 10, 32
_LEAST_PICTURES = 4
_LEAST_VIEW = 0.7
"""Of the sides of a picture: the smallest part of it that is a training view."""
Labels = NDArray[np.uint8] | int | None


@dataclass(frozen=True)
class Sample:
    """A picture's file, and its class or the file of its label map."""

    path: Path
    label: Path | int | None = None


@dataclass(frozen=True)
class Samples:
    """Those to train on, and those that judge the result at the end.

    Attributes:
        known: how many classes label maps have.
        ignored: the value in them that is no class.
    """

    trained: Sequence[Sample]
    held_out: Sequence[Sample]
    known: int = 0
    ignored: int = IGNORED

    def view(self, sample: Sample, feeding: Feeding, chance: random.Random) -> tuple[Picture, Labels]:
        """A part of the picture, perhaps mirrored, of the size that the network takes, and its labels."""
        picture = Image.fromarray(read_picture(sample.path))
        share = chance.uniform(_LEAST_VIEW, 1)
        width, height = (max(1, round(side * share)) for side in picture.size)
        left, top = chance.randint(0, picture.width - width), chance.randint(0, picture.height - height)
        box, mirrored = (left, top, left + width, top + height), chance.random() < 0.5
        size = (feeding.width, feeding.height)
        seen = np.asarray(picture.resize(size, Image.Resampling.BILINEAR, box=box))
        labels: Labels = None
        if isinstance(sample.label, Path):
            given = read_labels(sample.label)
            check_labels(given, sample.label, self.known, self.ignored)
            whole = Image.fromarray(given)
            if whole.size != picture.size:
                raise DatasetError(f"{sample.label} is {whole.size}, its picture {picture.size}: they must agree")
            shown = np.asarray(whole.resize(size, Image.Resampling.NEAREST, box=box))
            labels = np.where(shown == self.ignored, IGNORED, shown).astype(np.uint8)
            labels = np.ascontiguousarray(labels[:, ::-1]) if mirrored else labels
        elif sample.label is not None:
            labels = sample.label
        return (np.ascontiguousarray(seen[:, ::-1]) if mirrored else seen), labels


def open_samples(folder: Path, split: str, classes: Sequence[str], count: int, *, labelled: bool) -> Samples:
    """Read what a folder has.

    Args:
        folder: in one of the three forms.
        split: of a labelled folder.
        classes: what folders of pictures may be called beside their numbers.
        count: how many classes the network tells apart.
        labelled: labels are needed.

    Raises:
        DatasetError: the folder is missing or has too few pictures, or labels are needed and there are none.
    """
    if not folder.is_dir():
        raise DatasetError(f"{folder} is no folder: name one of pictures with --data")
    ignored = IGNORED
    if (folder / "classes.json").is_file():
        dataset = FolderDataset.open(folder, split)
        if labelled and len(dataset.classes.names) != count:
            raise DatasetError(f"{folder} has {len(dataset.classes.names)} classes, the network tells {count} apart")
        labels = folder / "labels" / split
        found = [Sample(dataset.picture_path(name), labels / f"{name}.png") for name in dataset.names]
        ignored = dataset.classes.ignore_index
    else:
        names = {str(number): number for number in range(count)} | {name: i for i, name in enumerate(classes)}
        found = [Sample(path, names.get(path.parent.name)) for path in pictures_below(folder)]
    if not labelled:
        found = [Sample(sample.path) for sample in found]
    elif not all(sample.label is not None for sample in found):
        lacking = next(sample.path for sample in found if sample.label is None)
        raise DatasetError(
            f"no labels: {lacking} lies in no folder that is called like a class, and {folder} has no classes.json; "
            "learn from the network itself (--learn-from network)"
        )
    if len(found) < _LEAST_PICTURES:
        raise DatasetError(f"{folder} has {len(found)} pictures; {_LEAST_PICTURES} are needed, and hundreds are better")
    held_out = found[:: max(2, _HELD_OUT_EVERY, len(found) // _MOST_HELD_OUT)][:_MOST_HELD_OUT]
    return Samples([each for each in found if each not in held_out], held_out, count, ignored)
