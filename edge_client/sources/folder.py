"""A folder of pictures, in the order of their names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from edge_client.sources.base import Frame
from narrows.errors import SourceError

_ENDINGS = {".jpg", ".jpeg", ".png", ".webp", ".bmp"}


class PictureFolder:
    """Every picture of a folder once, or over and over; never drops one.

    Example::

        PictureFolder(Path("samples/images/val"), unix_ms, loop=True).read()
    """

    passed_over = broken_off = 0

    def __init__(self, folder: Path, now_ms: Callable[[], int], *, loop: bool) -> None:
        self._paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in _ENDINGS)
        if not self._paths:
            raise SourceError(f"{folder} holds no picture: {', '.join(sorted(_ENDINGS))} are read")
        self._now_ms = now_ms
        self._loop = loop
        self._next = 0

    def read(self) -> Frame | None:
        """The next picture, named by its file without the ending."""
        if self._next == len(self._paths):
            if not self._loop:
                return None
            self._next = 0
        path = self._paths[self._next]
        self._next += 1
        try:
            with Image.open(path) as image:
                picture = np.asarray(image.convert("RGB"))
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise SourceError(f"{path} cannot be read as a picture: {error}") from None
        return Frame(path.stem, picture, self._now_ms())

    def close(self) -> None:
        """Nothing is held open between frames."""
