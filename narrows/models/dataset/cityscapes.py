"""Cityscapes in its own layout, with the 19 classes that its benchmark evaluates.

::

    ROOT/leftImg8bit/SPLIT/CITY/CITY_000000_000019_leftImg8bit.png
    ROOT/gtFine/SPLIT/CITY/CITY_000000_000019_gtFine_labelIds.png     uint8 label ids, 0 to 33

Source of ids, names and colours: Cordts et al., "The Cityscapes Dataset", CVPR 2016, and its public scripts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from narrows.contract.errors import DatasetError
from narrows.models.dataset.folder import ClassList
from narrows.models.dataset.pictures import LabelledPicture, of_one_size
from narrows.runtime.pictures import read_labels, read_picture

IGNORED = 255
SIZE = (2048, 1024)
_PICTURE, _LABELS = "_leftImg8bit.png", "_gtFine_labelIds.png"


class _Class(NamedTuple):
    label_id: int
    name: str
    colour: tuple[int, int, int]


CLASSES = (
    _Class(7, "road", (128, 64, 128)),
    _Class(8, "sidewalk", (244, 35, 232)),
    _Class(11, "building", (70, 70, 70)),
    _Class(12, "wall", (102, 102, 156)),
    _Class(13, "fence", (190, 153, 153)),
    _Class(17, "pole", (153, 153, 153)),
    _Class(19, "traffic light", (250, 170, 30)),
    _Class(20, "traffic sign", (220, 220, 0)),
    _Class(21, "vegetation", (107, 142, 35)),
    _Class(22, "terrain", (152, 251, 152)),
    _Class(23, "sky", (70, 130, 180)),
    _Class(24, "person", (220, 20, 60)),
    _Class(25, "rider", (255, 0, 0)),
    _Class(26, "car", (0, 0, 142)),
    _Class(27, "truck", (0, 0, 70)),
    _Class(28, "bus", (0, 60, 100)),
    _Class(31, "train", (0, 80, 100)),
    _Class(32, "motorcycle", (0, 0, 230)),
    _Class(33, "bicycle", (119, 11, 32)),
)
LABEL_IDS = 34
CLASS_LIST = ClassList(tuple(c.name for c in CLASSES), IGNORED, SIZE, tuple(c.colour for c in CLASSES))


def _numbers() -> NDArray[np.uint8]:
    numbers = np.full(256, IGNORED, np.uint8)
    for number, each in enumerate(CLASSES):
        numbers[each.label_id] = number
    return numbers


_NUMBERS = _numbers()


@dataclass(frozen=True)
class CityscapesDataset:
    """One split; names are ``CITY/CITY_000000_000019``."""

    root: Path
    split: str
    names: tuple[str, ...]
    classes: ClassList = CLASS_LIST

    @classmethod
    def open(cls, root: Path, split: str) -> CityscapesDataset:
        """List the split's pictures.

        Raises:
            DatasetError: there is no such split, or nothing in it.
        """
        folder = root / "leftImg8bit" / split
        paths = sorted(folder.glob(f"*/*{_PICTURE}"))
        if not paths:
            raise DatasetError(f"{folder} has no CITY/*{_PICTURE}: unpack leftImg8bit_trainvaltest.zip into {root}")
        return cls(root, split, tuple(f"{p.parent.name}/{p.name.removesuffix(_PICTURE)}" for p in paths))

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[LabelledPicture]:
        return (self.read(name) for name in self.names)

    def read(self, name: str) -> LabelledPicture:
        """Read one sample.

        Raises:
            PictureError: a file is missing or broken.
            DatasetError: the sizes differ, or a value is no label id.
        """
        labels_path = self.root / "gtFine" / self.split / f"{name}{_LABELS}"
        ids = read_labels(labels_path)
        if ids.max(initial=0) >= LABEL_IDS:
            raise DatasetError(f"{labels_path} has label id {ids.max()}; Cityscapes has 0 to {LABEL_IDS - 1}")
        picture = read_picture(self.root / "leftImg8bit" / self.split / f"{name}{_PICTURE}")
        return of_one_size(name, picture, _NUMBERS[ids], labels_path)
