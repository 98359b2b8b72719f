"""Which source a ``--source`` text means."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from threading import Event

from edge_client.clock import unix_ms
from edge_client.sources.base import Source
from edge_client.sources.folder import PictureFolder
from edge_client.sources.live import LiveCamera
from edge_client.sources.video import VideoFile
from narrows.errors import SourceError
from narrows.redact import redact

_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_DEVICE = re.compile(r"/dev/video\d+")


def is_live(text: str) -> bool:
    """Whether a ``--source`` text means a camera, not something stored."""
    return bool(_URL.match(text) or _DEVICE.fullmatch(text))


def open_source(text: str, *, loop: bool, stop: Event, waiting: Callable[[], None] | None = None) -> Source:
    """Open a folder of pictures, a video file, a ``/dev/videoN`` device or a URL such as ``rtsp://...``.

    ``loop`` begins stored sources anew at their end; ``stop`` ends the wait for a live frame, and ``waiting`` is called
    meanwhile.

    Raises:
        SourceError: there is no such source, or it cannot be read; the message says what is.
    """
    if _URL.match(text):
        return LiveCamera(text, stop, unix_ms, waiting=waiting)
    if _DEVICE.fullmatch(text):
        return LiveCamera(text, stop, unix_ms, container="v4l2", waiting=waiting)
    path = Path(text).expanduser()
    if path.is_dir():
        return PictureFolder(path, unix_ms, loop=loop)
    if path.is_file():
        return VideoFile(path, unix_ms, loop=loop)
    raise SourceError(
        f"--source {redact(text)!r} is not there: give a folder of pictures, a video file, /dev/videoN or rtsp://..."
    )
