"""A video file, frame by frame."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import structlog

from edge_client.capture.sources.base import CameraFrame, Picture, StreamBroken
from edge_client.capture.sources.decode import open_container, video_frames
from edge_client.capture.sources.kind import StoredKind, path_of, scheme_of
from edge_client.clock import unix_ms
from narrows.contract.errors import PictureError, SourceError
from narrows.runtime.pictures import PICTURE_SUFFIXES, frame_picture

_LOG = structlog.get_logger("edge.camera")


class VideoFile:
    """Every frame of a video file once, or over and over; ignores the file's own frame rate.

    Only what cannot be read is left out, and counted.
    """

    passed_over = broken_off = 0

    def __init__(self, path: Path, now_ms: Callable[[], int], *, loop: bool) -> None:
        self._path = path
        self._now_ms = now_ms
        self._loop = loop
        self._last_cause = ""
        self.unreadable = 0
        self._rewind()

    def read(self) -> CameraFrame | None:
        """The next frame, named ``FILE:INDEX``.

        Raises:
            SourceError: none of the file's frames can be read, or it broke off.
        """
        picture = self._advance()
        if picture is None and self._loop and self._shown:
            self.close()
            self._rewind()
            picture = self._advance()
        if picture is None:
            if not self._shown:
                cause = f" that can be read: {self._last_cause}" if self._last_cause else ""
                raise SourceError(f"{self._path} holds no frame{cause}")
            return None
        self._shown += 1
        return CameraFrame(f"{self._path.stem}:{self._index - 1:06d}", picture, self._now_ms())

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def _rewind(self) -> None:
        try:
            self._container = open_container(str(self._path))
        except StreamBroken as error:
            raise SourceError(f"{self._path} cannot be opened as a video: {error}") from None
        self._frames = video_frames(self._container, self._skip)
        self._index = self._shown = 0

    def _advance(self) -> Picture | None:
        try:
            for frame in self._frames:
                self._index += 1
                try:
                    return frame_picture(frame)
                except PictureError as error:
                    self._skip(str(error))
        except StreamBroken as error:
            raise SourceError(f"{self._path}, frame {self._index}: {error}") from None
        return None

    def _skip(self, cause: str) -> None:
        """Count what is left out, and say each new cause once."""
        self.unreadable += 1
        if cause != self._last_cause:
            _LOG.warning("picture_unreadable", file=str(self._path), frame=self._index, cause=cause)
        self._last_cause = cause


def _is_file_but_no_picture(text: str) -> bool:
    if scheme_of(text) not in {None, "file"}:
        return False
    path = path_of(text)
    return path.is_file() and path.suffix.lower() not in PICTURE_SUFFIXES


KIND = StoredKind(
    matches=_is_file_but_no_picture,
    opened=lambda text, loop: VideoFile(path_of(text), unix_ms, loop=loop),
    example="a video file",
    documented="a video file, `file://...`",
    taken="every frame, whatever its own frame rate; damaged ones are skipped",
)
