"""A camera of this machine: ``/dev/videoN``, a link to one such as ``/dev/v4l/by-id/...``, through Video4Linux."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from edge_client.capture.sources.decode import StreamFeed
from edge_client.capture.sources.kind import LiveKind, scheme_of
from narrows.contract.errors import SourceError

_VIDEO4LINUX_MAJOR = 81
"""Of the kernel's ``devices.txt``: character devices 81 are Video4Linux's."""


def is_device(text: str) -> bool:
    """Whether a text names a device, or a link to where one would be: a camera may be unplugged for now."""
    path = Path(text)
    if scheme_of(text) is not None:
        return False
    try:
        mode = path.stat().st_mode
    except OSError:
        return str(path.resolve(strict=False)).startswith("/dev/")
    return stat.S_ISCHR(mode) or stat.S_ISBLK(mode)


def device_feed(text: str) -> StreamFeed:
    """The feed of a device.

    Raises:
        SourceError: it is there, and no camera.
    """
    try:
        found = Path(text).stat()
    except OSError:
        found = None
    if found is not None and not (stat.S_ISCHR(found.st_mode) and os.major(found.st_rdev) == _VIDEO4LINUX_MAJOR):
        raise SourceError(f"{text} is a device, but no camera: `v4l2-ctl --list-devices` names those that are")
    return StreamFeed(text, container="v4l2")


KIND = LiveKind(
    matches=is_device,
    feed=lambda text, _: device_feed(text),
    example="a device as /dev/video0",
    documented="`/dev/videoN`, `/dev/v4l/by-id/...`, any link to one",
    taken="the newest frame (Video4Linux); a device that is unplugged is waited for",
)
