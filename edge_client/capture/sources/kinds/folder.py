"""A folder of pictures, in the order of their names, or one picture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import structlog

from edge_client.capture.sources.base import CameraFrame
from edge_client.capture.sources.kind import StoredKind, path_of, scheme_of
from edge_client.clock import unix_ms
from narrows.contract.errors import PictureError, SourceError
from narrows.runtime.pictures import PICTURE_SUFFIXES, read_picture

_LOG = structlog.get_logger("edge.camera")


class PictureFolder:
    """Every picture of a folder once, or over and over; only what cannot be read is left out, and counted.

    Example::

        PictureFolder(Path("samples/images/val"), unix_ms, loop=True).read()
    """

    passed_over = broken_off = 0

    def __init__(self, folder: Path, now_ms: Callable[[], int], *, loop: bool) -> None:
        self._folder = folder
        try:
            files = list(folder.iterdir()) if folder.is_dir() else [folder]
        except OSError as error:
            raise SourceError(f"{folder} cannot be read ({error.strerror})") from None
        self._paths = sorted(path for path in files if path.suffix.lower() in PICTURE_SUFFIXES)
        if not self._paths:
            raise SourceError(
                f"{folder} holds no picture: {', '.join(PICTURE_SUFFIXES)} are read, folders in it are not"
            )
        self._now_ms = now_ms
        self._loop = loop
        self._next = 0
        self._unreadable_in_a_row = 0
        self._named: set[Path] = set()
        self.unreadable = 0

    def read(self) -> CameraFrame | None:
        """The next picture, named by its file without the ending.

        Raises:
            SourceError: none of the folder's pictures can be read.
        """
        while self._next < len(self._paths) or self._loop:
            path = self._paths[self._next % len(self._paths)]
            self._next = self._next % len(self._paths) + 1
            try:
                picture = read_picture(path)
            except PictureError as error:
                self._skip(path, error)
                continue
            self._unreadable_in_a_row = 0
            return CameraFrame(path.stem, picture, self._now_ms())
        return None

    def close(self) -> None:
        """Nothing is held open between frames."""

    def _skip(self, path: Path, error: PictureError) -> None:
        """Count a picture that is left out, and name each once."""
        self.unreadable += 1
        self._unreadable_in_a_row += 1
        if self._unreadable_in_a_row == len(self._paths):
            raise SourceError(f"no picture of {self._folder} can be read ({len(self._paths)} were tried): {error}")
        if path not in self._named:
            self._named.add(path)
            _LOG.warning("picture_unreadable", cause=str(error))


def _is_folder_or_picture(text: str) -> bool:
    if scheme_of(text) not in {None, "file"}:
        return False
    path = path_of(text)
    return path.is_dir() or (path.is_file() and path.suffix.lower() in PICTURE_SUFFIXES)


KIND = StoredKind(
    matches=_is_folder_or_picture,
    opened=lambda text, loop: PictureFolder(path_of(text), unix_ms, loop=loop),
    example="a folder of pictures or a picture",
    documented="a folder; a picture, `file://...`",
    taken="its `.jpg`, `.jpeg`, `.png`, `.webp` and `.bmp` files by name; those that cannot be read are skipped",
)
