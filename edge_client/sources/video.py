"""A video file, frame by frame."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_client.sources.base import Frame
from edge_client.sources.decode import StreamBroken, open_container, to_picture, video_frames
from narrows.errors import SourceError


class VideoFile:
    """Every frame of a video file once, or over and over; never drops one and ignores the file's own frame rate."""

    passed_over = broken_off = 0

    def __init__(self, path: Path, now_ms: Callable[[], int], *, loop: bool) -> None:
        self._path = path
        self._now_ms = now_ms
        self._loop = loop
        self._rewind()

    def read(self) -> Frame | None:
        """The next frame, named ``FILE:INDEX``."""
        picture = self._advance()
        if picture is None and self._loop and self._index:
            self.close()
            self._rewind()
            picture = self._advance()
        if picture is None:
            if not self._index:
                raise SourceError(f"{self._path} holds no frame")
            return None
        frame = Frame(f"{self._path.stem}:{self._index:06d}", picture, self._now_ms())
        self._index += 1
        return frame

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def _rewind(self) -> None:
        try:
            self._container = open_container(str(self._path))
        except StreamBroken as error:
            raise SourceError(f"{self._path} cannot be opened as a video: {error}") from None
        self._frames = video_frames(self._container)
        self._index = 0

    def _advance(self) -> NDArray[np.uint8] | None:
        try:
            frame = next(self._frames, None)
            return None if frame is None else to_picture(frame)
        except StreamBroken as error:
            raise SourceError(f"{self._path}, frame {self._index}: {error}") from None
