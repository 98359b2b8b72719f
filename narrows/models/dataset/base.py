"""What every labelled data set answers to, whatever its layout on disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol, TypeVar

from narrows.models.dataset.folder import ClassList
from narrows.models.dataset.pictures import LabelledPicture

T_co = TypeVar("T_co", covariant=True)


class Samples(Protocol):
    """Labelled pictures, read when they are asked for: what a network is judged on."""

    @property
    def classes(self) -> ClassList:
        """What the label values mean."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[LabelledPicture]: ...


class Named(Protocol[T_co]):
    """One split of a data set: the names of its pictures, read when they are asked for."""

    @property
    def root(self) -> Path:
        """The folder that was opened."""

    @property
    def split(self) -> str:
        """The split that was opened."""

    @property
    def names(self) -> tuple[str, ...]:
        """The pictures, in the order of the split."""

    def read(self, name: str) -> T_co:
        """Read one picture with what is said of it.

        Raises:
            DatasetError: its annotation is missing or broken; the message names it.
            PictureError: the picture is.
        """


class LabelledDataset(Samples, Named[LabelledPicture], Protocol):
    """One split of labelled pictures."""
