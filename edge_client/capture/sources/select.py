"""Which source a ``--source`` text means."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from threading import Event

from edge_client.capture.sources.base import CameraSource, Feed
from edge_client.capture.sources.decode import StreamFeed
from edge_client.capture.sources.device import device_feed, is_device
from edge_client.capture.sources.folder import PictureFolder
from edge_client.capture.sources.http import HttpFeed
from edge_client.capture.sources.live import LiveCamera
from edge_client.capture.sources.rtsp import RtspFeed
from edge_client.capture.sources.video import VideoFile
from edge_client.clock import unix_ms
from narrows.contract.errors import SourceError
from narrows.runtime.pictures import PICTURE_SUFFIXES
from narrows.runtime.redact import redact
from narrows.runtime.surroundings import expanded

FRAMES_PER_S = 10.0
_URL = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)


def is_live(text: str) -> bool:
    """Whether a ``--source`` text means a camera, not something stored."""
    scheme = _scheme(text)
    return is_device(text) if scheme is None else scheme != "file"


def open_source(
    text: str,
    *,
    loop: bool,
    stop: Event,
    waiting: Callable[[], None] | None = None,
    frames_per_s: float = FRAMES_PER_S,
) -> CameraSource:
    """Open a folder of pictures, a video file, a ``/dev/videoN`` device or a URL such as ``rtsp://...``.

    ``loop`` begins stored sources anew at their end; ``stop`` ends the wait for a live frame, and ``waiting`` is called
    meanwhile; ``frames_per_s`` is how often a snapshot URL is asked.

    Raises:
        SourceError: there is no such source, or it cannot be read; the message says what is.
    """
    if is_live(text):
        return LiveCamera(_feed(text, frames_per_s), stop, unix_ms, waiting)
    path = _path(text)
    if path.is_dir() or (path.is_file() and path.suffix.lower() in PICTURE_SUFFIXES):
        return PictureFolder(path, unix_ms, loop=loop)
    if path.is_file():
        return VideoFile(path, unix_ms, loop=loop)
    raise SourceError(
        f"--source {redact(text)!r} is not there: give a folder of pictures, a video file, a device as /dev/video0, "
        "or a URL as rtsp://..."
    )


def _feed(text: str, frames_per_s: float) -> Feed:
    scheme = _scheme(text)
    if scheme is None:
        return device_feed(text)
    if scheme in {"rtsp", "rtsps"}:
        return RtspFeed(text)
    if scheme in {"http", "https"}:
        return HttpFeed(text, frames_per_s)
    return StreamFeed(text)


def _scheme(text: str) -> str | None:
    found = _URL.match(text)
    return None if found is None else found[1].lower()


def _path(text: str) -> Path:
    if _scheme(text) == "file":
        return Path(urllib.parse.unquote(urllib.parse.urlsplit(text).path))
    return expanded(text)
