"""The sample pictures as cameras see them: one order, each camera beginning elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from narrows.contract.errors import DatasetError
from narrows.models.dataset import FolderDataset, LabelledPicture


@dataclass(frozen=True)
class Reel:
    """A labelled split and the names under which cameras play its pictures."""

    dataset: FolderDataset

    @classmethod
    def open(cls, samples: Path) -> Reel:
        """Open the folder's validation split, else its only one.

        Raises:
            DatasetError: the folder is not in the documented layout.
        """
        splits = sorted(path.stem for path in samples.glob("*.txt"))
        if not splits:
            raise DatasetError(f"{samples} has no SPLIT.txt: a labelled folder is expected (--samples)")
        return cls(FolderDataset.open(samples, "val" if "val" in splits else splits[0]))

    def lay_out(self, folder: Path, camera: int, cameras: int) -> None:
        """Fill ``folder`` with links to the pictures whose sorted names begin at this camera's place in the reel.

        Raises:
            DatasetError: a picture is missing.
        """
        folder.mkdir(parents=True)
        names = self.dataset.names
        begin = camera * len(names) // cameras
        for place, name in enumerate(names[begin:] + names[:begin]):
            picture = self.dataset.picture_path(name)
            (folder / f"{place:05d}_{picture.name}").symlink_to(picture.resolve())

    def sample(self, played: str) -> LabelledPicture:
        """The picture and labels behind a name that a journal gives.

        Raises:
            DatasetError: there is no such sample.
        """
        _, _, name = played.partition("_")
        if name not in self.dataset.names:
            raise DatasetError(f"{played!r} is no picture of this reel")
        return self.dataset.read(name)
