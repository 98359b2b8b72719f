"""A labelled folder by drives: frames of one drive look alike, so a split within a drive flatters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from narrows.contract.errors import DatasetError
from narrows.models.dataset import ClassList, FolderDataset, LabelledPicture

SPLITS = ("train", "val")
EPOCHS, FULL_EPOCHS = 48, 30
"""The recipe's length: what the shipped bundle had of good pictures, 48 epochs at two thirds of the size, 30 at all."""


@dataclass(frozen=True)
class Drive:
    """All labelled frames of one drive, from whichever split they are in."""

    name: str
    parts: tuple[FolderDataset, ...]

    @property
    def pattern(self) -> str:
        """The shell pattern of its frames' names."""
        return f"{self.name}_*"

    @property
    def classes(self) -> ClassList:
        """What the label values mean."""
        return self.parts[0].classes

    def __len__(self) -> int:
        return sum(len(part) for part in self.parts)

    def __iter__(self) -> Iterator[LabelledPicture]:
        for part in self.parts:
            yield from part


def drives_of(data: Path) -> list[Drive]:
    """The drives of a labelled folder, by name.

    Raises:
        DatasetError: there is but one, so none can be left out; or a sample's name does not begin with its drive.
    """
    splits = [FolderDataset.open(data, split) for split in SPLITS]
    samples = [name for split in splits for name in split.names]
    if strange := [name for name in samples if not name.partition("_")[1]]:
        raise DatasetError(f"{data}: sample {strange[0]} names no drive: call it DRIVE_{strange[0]}")
    names = sorted({name.partition("_")[0] for name in samples})
    if len(names) < 2:
        raise DatasetError(f"{data}: all frames are of one drive ({names[0]}): none can be left out")
    return [Drive(name, tuple(_parts(splits, name))) for name in names]


def _parts(splits: list[FolderDataset], name: str) -> Iterator[FolderDataset]:
    for split in splits:
        if any(sample.startswith(f"{name}_") for sample in split.names):
            yield split.only(f"{name}_*")
