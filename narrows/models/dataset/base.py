"""What every labelled data set answers to, whatever its layout on disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from narrows.models.dataset.folder import ClassList
from narrows.models.dataset.pictures import LabelledPicture


class LabelledDataset(Protocol):
    """One split; samples are read when they are asked for, in the order of ``names``."""

    @property
    def root(self) -> Path:
        """The folder that was opened."""

    @property
    def split(self) -> str:
        """The split that was opened."""

    @property
    def classes(self) -> ClassList:
        """What the label values mean."""

    @property
    def names(self) -> tuple[str, ...]:
        """The samples."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[LabelledPicture]: ...

    def read(self, name: str) -> LabelledPicture:
        """Read one sample.

        Raises:
            DatasetError: a file is missing or broken; the message names it.
        """
