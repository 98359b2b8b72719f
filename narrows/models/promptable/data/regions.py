"""Natural pictures that people divided into regions: every region is a thing.

::

    ROOT/images/SPLIT/100075.jpg
    ROOT/regions/SPLIT/100075.a.png     uint8 or uint16 number of the region; the coarsest annotator
    ROOT/regions/SPLIT/100075.b.png     the finest

Source: Arbelaez et al., "Contour Detection and Hierarchical Image Segmentation", PAMI 2011.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from narrows.contract.errors import DatasetError, PictureError
from narrows.models.promptable.data.instances import AnnotatedPicture, instances_of
from narrows.runtime.pictures import read_picture
from narrows.runtime.pictures.still import opened

COARSEST, FINEST = "a", "b"


@dataclass(frozen=True)
class RegionsDataset:
    """One split; the things of both annotators, or of the one that is named."""

    root: Path
    split: str
    names: tuple[str, ...]
    annotators: tuple[str, ...] = (COARSEST, FINEST)

    @classmethod
    def open(cls, root: Path, split: str) -> RegionsDataset:
        """List the split's pictures.

        Raises:
            DatasetError: there are none.
        """
        names = tuple(sorted(path.stem for path in (root / "images" / split).glob("*.jpg")))
        if not names:
            found = ", ".join(sorted(path.name for path in (root / "images").glob("*"))) or "none"
            raise DatasetError(f"{root / 'images' / split} has no pictures (splits found: {found})")
        return cls(root, split, names)

    def read(self, name: str) -> AnnotatedPicture:
        """Read one picture and its regions.

        Raises:
            DatasetError: a region map is missing, or of another size than its picture.
            PictureError: the picture is missing or broken.
        """
        picture = read_picture(self.root / "images" / self.split / f"{name}.jpg")
        return AnnotatedPicture(name, picture, instances_of(self._regions(name, picture.shape[:2])))

    def _regions(self, name: str, shape: tuple[int, ...]) -> Iterator[tuple[str, NDArray[np.bool_]]]:
        for annotator in self.annotators:
            path = self.root / "regions" / self.split / f"{name}.{annotator}.png"
            numbers = _read_numbers(path)
            if numbers.shape != shape:
                raise DatasetError(f"{path} is {numbers.shape}, its upright picture {shape}: sizes must agree")
            for number in np.unique(numbers):
                yield f"{name}/{annotator}/{number}", numbers == number


def _read_numbers(path: Path) -> NDArray[np.integer]:
    """Region numbers ``(H, W)``: 16 bits, which label files of classes never have."""
    try:
        with opened(path) as image:
            numbers = np.asarray(image)
    except PictureError as error:
        raise DatasetError(str(error)) from None
    if numbers.ndim != 2 or not np.issubdtype(numbers.dtype, np.integer):
        raise DatasetError(f"{path} is no map of region numbers: {numbers.dtype} of shape {numbers.shape}")
    return numbers
