"""What every labelled data set answers to, whatever its layout on disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from narrows.models.dataset.folder import ClassList
from narrows.models.dataset.pictures import LabelledPicture


class Samples(Protocol):
    """Labelled pictures, read when they are asked for: what a network is judged on."""

    @property
    def classes(self) -> ClassList:
        """What the label values mean."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[LabelledPicture]: ...


class LabelledDataset(Samples, Protocol):
    """One split, in the order of ``names``."""

    @property
    def root(self) -> Path:
        """The folder that was opened."""

    @property
    def split(self) -> str:
        """The split that was opened."""

    @property
    def names(self) -> tuple[str, ...]:
        """The samples."""

    def read(self, name: str) -> LabelledPicture:
        """Read one sample.

        Raises:
            DatasetError: a file is missing or broken; the message names it.
        """
