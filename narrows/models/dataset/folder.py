"""The project's own labelled data set: a folder of pictures, a folder of label maps, lists of names.

::

    DATASET/
      classes.json            {"classes": [...], "ignore_index": int, "size": [width, height],
                               "palette": [[r,g,b], ...]}
      SPLIT.txt               one sample name a line, as DRIVE_FRAME where frames are of several drives
      images/SPLIT/NAME.jpg   (or .jpeg, .png, .webp, .bmp)
      labels/SPLIT/NAME.png   uint8 class index, one channel, same size as the image

Who trains on it, or counts tables on it, wants all pictures at the listed size: bundles are made for that one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from hashlib import sha256
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from narrows.contract.errors import DatasetError, RecordError
from narrows.contract.wire.record import Record
from narrows.models.dataset.pictures import LabelledPicture, of_one_size
from narrows.runtime.pictures import PICTURE_SUFFIXES, read_labels, read_picture

Colour = Annotated[int, Meta(ge=0, le=255)]
Side = Annotated[int, Meta(ge=1, le=1 << 16)]


class _ListedClasses(Record, frozen=True):
    """``classes.json``."""

    what: ClassVar[str] = "classes.json"

    classes: tuple[str, ...]
    ignore_index: Annotated[int, Meta(ge=0, le=255)]
    size: tuple[Side, Side]
    palette: tuple[tuple[Colour, Colour, Colour], ...]


@dataclass(frozen=True)
class ClassList:
    """What the label values mean. ``names`` leaves the ignored class out; ``palette`` is RGB a class."""

    names: tuple[str, ...]
    ignore_index: int
    size: tuple[int, int]
    palette: tuple[tuple[int, int, int], ...]

    @classmethod
    def read(cls, path: Path) -> ClassList:
        """Parse ``classes.json``.

        Raises:
            DatasetError: the file is missing, no JSON, or lacks a field.
        """
        try:
            listed = _ListedClasses.parse(path.read_bytes())
        except FileNotFoundError:
            raise DatasetError(f"{path} is missing: every data set folder needs a classes.json") from None
        except RecordError as error:
            raise DatasetError(f"{path}: {error}; see narrows/models/dataset/folder.py") from None
        ignored = listed.ignore_index
        kept = [i for i in range(len(listed.classes)) if i != ignored]
        if kept != list(range(len(kept))):
            raise DatasetError(f"{path}: ignore_index must come after the real classes, found {ignored}")
        if len(listed.palette) < len(kept):
            raise DatasetError(f"{path}: palette has {len(listed.palette)} colours for {len(kept)} classes")
        return cls(listed.classes[: len(kept)], ignored, listed.size, listed.palette[: len(kept)])


@dataclass(frozen=True)
class FolderDataset:
    """One split of a labelled folder; samples are read when they are asked for, in the list's order."""

    root: Path
    split: str
    classes: ClassList
    names: tuple[str, ...]

    @classmethod
    def open(cls, root: Path, split: str) -> FolderDataset:
        """Read the class list and the split's names.

        Raises:
            DatasetError: ``classes.json`` or ``SPLIT.txt`` is missing, broken or empty, or a name stands there twice.
        """
        listing = root / f"{split}.txt"
        if not listing.is_file():
            found = ", ".join(sorted(p.stem for p in root.glob("*.txt"))) or "none"
            raise DatasetError(f"{listing} is missing: no split {split!r} here (splits found: {found})")
        try:
            names = tuple(line.strip() for line in listing.read_text("utf-8").splitlines() if line.strip())
        except UnicodeDecodeError as error:
            raise DatasetError(f"{listing} is no UTF-8 text: {error.reason} at byte {error.start}") from None
        if twice := [name for name, count in Counter(names).items() if count > 1]:
            raise DatasetError(
                f"{listing} lists {twice[0]} twice: it would count twice, and be trained on and judged on"
            )
        if not names:
            raise DatasetError(f"{listing} lists no sample")
        return cls(root, split, ClassList.read(root / "classes.json"), names)

    def only(self, pattern: str) -> FolderDataset:
        """The samples whose names match a shell pattern, such as one drive's: ``0006R0_*``.

        Raises:
            DatasetError: no name matches.
        """
        return self._with(tuple(n for n in self.names if fnmatchcase(n, pattern)), f"matches {pattern!r}")

    def without(self, *patterns: str | None) -> FolderDataset:
        """The samples whose names match none of some shell patterns; ``None`` is none.

        Raises:
            DatasetError: every name matches.
        """
        given = [pattern for pattern in patterns if pattern is not None]
        names = tuple(name for name in self.names if not any(fnmatchcase(name, pattern) for pattern in given))
        return self._with(names, f"is left without {' and '.join(map(repr, given))}")

    def without_named(self, pattern: str | None) -> FolderDataset:
        """As :meth:`without`, of what a person named: a drive that was misspelt would be seen, and called never seen.

        Raises:
            DatasetError: every name matches, or none in any split of the folder.
        """
        if pattern is not None and not any(fnmatchcase(name, pattern) for name in self._listed()):
            raise DatasetError(
                f"{self.root} has no sample that matches {pattern!r} in any split: nothing would be left out; the "
                f"first is {self.names[0]!r}"
            )
        return self.without(pattern)

    def _listed(self) -> Iterator[str]:
        """Of this split, then of all that the folder has."""
        yield from self.names
        for listing in sorted(self.root.glob("*.txt")):
            yield from map(str.strip, listing.read_text("utf-8", errors="replace").splitlines())

    def _with(self, names: tuple[str, ...], told: str) -> FolderDataset:
        if not names:
            raise DatasetError(f"{self.root / self.split}.txt: no sample {told}; the first is {self.names[0]!r}")
        return replace(self, names=names)

    @property
    def samples(self) -> str:
        """Which samples these are, in short: what a run folder is begun with holds for the same ones alone."""
        digest = sha256("\n".join(self.names).encode()).hexdigest()[:12]
        return f"{len(self.names)}, {self.names[0]} to {self.names[-1]}, {digest}"

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[LabelledPicture]:
        return (self.read(name) for name in self.names)

    def at_its_size(self) -> Iterator[LabelledPicture]:
        """All samples, for a network that is made for pictures of the listed size: scale is part of what it learns.

        Raises:
            PictureError: a file is missing or broken.
            DatasetError: as :meth:`read`, or a picture is of another size than ``classes.json`` says.
        """
        for sample in self:
            height, width = sample.labels.shape
            if (width, height) != self.classes.size:
                listed = "{}x{}".format(*self.classes.size)
                raise DatasetError(
                    f"{sample.name} is {width}x{height}, {self.root / 'classes.json'} says {listed}: resize the "
                    f"pictures and their labels, or list their size"
                )
            yield sample

    def read(self, name: str) -> LabelledPicture:
        """Read one sample.

        Raises:
            PictureError: a file is missing or broken.
            DatasetError: the sizes differ, or a label is no class.
        """
        picture_path = self.picture_path(name)
        label_path = self.root / "labels" / self.split / f"{name}.png"
        picture = read_picture(picture_path)
        labels = read_labels(label_path)
        sample = of_one_size(name, picture, labels, label_path)
        check_labels(labels, label_path, len(self.classes.names), self.classes.ignore_index)
        return sample

    def picture_path(self, name: str) -> Path:
        """Where a sample's picture lies.

        Raises:
            DatasetError: nowhere.
        """
        stem = self.root / "images" / self.split / name
        for suffix in PICTURE_SUFFIXES:
            if (path := stem.with_name(stem.name + suffix)).is_file():
                return path
        raise DatasetError(
            f"{stem}.jpg (or {', '.join(PICTURE_SUFFIXES[1:])}) is missing, though {self.split}.txt lists {name}"
        )


def check_labels(labels: NDArray[np.uint8], path: Path, known: int, ignored: int) -> None:
    """See that a label map has no other values than classes and the ignored one.

    Raises:
        DatasetError: it has.
    """
    strange = [int(value) for value in np.unique(labels) if value >= known and value != ignored]
    if strange:
        raise DatasetError(f"{path} has label {strange[0]}, classes.json names {known} and the ignored one")
