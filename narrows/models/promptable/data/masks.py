"""Pictures beside masks of the same name: what is not 0 is the thing, one a picture.

::

    ROOT/SPLIT/NAME.jpg     ROOT/SPLIT/NAME.png     split ``all`` is every folder
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from narrows.contract.errors import DatasetError
from narrows.models.promptable.data.instances import AnnotatedPicture, instances_of
from narrows.runtime.pictures import read_labels, read_picture

EVERY = "all"


@dataclass(frozen=True)
class MasksDataset:
    """One folder, or all; names are ``FOLDER/NAME``. Pictures without a thing are read, and have none."""

    root: Path
    split: str
    names: tuple[str, ...]

    @classmethod
    def open(cls, root: Path, split: str) -> MasksDataset:
        """List the pictures that have a mask.

        Raises:
            DatasetError: there are none.
        """
        pattern = "*/*.png" if split == EVERY else f"{split}/*.png"
        names = sorted(f"{path.parent.name}/{path.stem}" for path in root.glob(pattern))
        if not names:
            found = ", ".join(sorted(path.name for path in root.glob("*") if path.is_dir())) or "none"
            raise DatasetError(f"{root}/{pattern}: no masks (splits found: {EVERY}, {found})")
        return cls(root, split, tuple(names))

    def read(self, name: str) -> AnnotatedPicture:
        """Read one picture and its thing.

        Raises:
            DatasetError: mask and picture differ in size.
            PictureError: a file is missing or broken.
        """
        labels = read_labels(self.root / f"{name}.png")
        picture = read_picture(self.root / f"{name}.jpg")
        if picture.shape[:2] != labels.shape:
            raise DatasetError(f"{self.root / name}: mask {labels.shape}, upright picture {picture.shape[:2]}")
        return AnnotatedPicture(name, picture, instances_of([(f"{name}/0", labels > 0)]))
