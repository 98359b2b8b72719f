"""A still picture that an operator asks a camera for, to point at things in it: only where the camera's site allows it.

The camera decides, by its own setting (``narrows edge --stills PER_HOUR``, off by default): one still for a request, so
many an hour, of so many bytes, for so long. What is in Redis cannot change that.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from msgspec import Meta, Struct

from narrows.contract.wire.record import Record, UnixMs

MAX_WHO_CHARACTERS = 128
MAX_STILL_BYTES = 24_000
"""Of its JPEG: it shares the link with frames, and one of 20 kbit/s takes it before its answer is overdue."""
STILL_SIDE = 640
"""Pixels, its longer side at most: enough to tell one thing from the next."""
REQUEST_MS = 30_000
"""A request that is older is none: a camera that slept through it sends nothing when it wakes."""
STILL_MS = 60_000
"""So long a still can be looked at."""
MOST_STILLS_PER_HOUR = 3600
_AHEAD_MS = 10_000
"""More than two who ask at once, and what a camera thinks that the server's clock says, lie apart."""
JPEG_FIELD = b"b"
"""Of the entry: the picture, beside the record in the field that all packets have."""


def is_ahead(asked_ms: int, now_ms: float) -> bool:
    """Whether a request is of a clock that has been set back since: it tells nothing of one that is made now."""
    return asked_ms > now_ms + _AHEAD_MS


class StillState(StrEnum):
    """What became of a request at its camera."""

    SENT = "sent"
    NOT_ALLOWED = "not_allowed"
    """Its site lets none out."""
    TOO_MANY = "too_many"
    """Its site let as many out as it allows an hour."""
    NOT_PERMITTED = "not_permitted"
    """The camera's Redis user may not add one."""


class StillRequest(Struct, frozen=True, omit_defaults=True):
    """One still is wanted.

    Attributes:
        asked_ms: when, by the Redis server's clock; another for each request of a camera.
        who: who asks, for the site's log.
    """

    asked_ms: UnixMs
    who: Annotated[str, Meta(max_length=MAX_WHO_CHARACTERS)] = ""


class StillAnswer(Struct, frozen=True, omit_defaults=True):
    """What a camera says of a request.

    Attributes:
        asked_ms: which it was.
        state: a :class:`StillState`; later releases may know others.
        wait_s: of ``too_many``, until the site lets the next one out.
    """

    asked_ms: UnixMs
    state: Annotated[str, Meta(pattern=r"^[a-z_]{0,32}\Z")]
    wait_s: Annotated[int, Meta(ge=0, le=3600)] = 0


class Still(Record, frozen=True, omit_defaults=True, tag_field="v", tag=1):
    """What stands beside a still's JPEG.

    Attributes:
        asked_ms: of the request that it answers.
        width, height: of the source picture, which the JPEG shows whole.
        capture_ms: when it was taken, by the camera's clock.
    """

    what: ClassVar[str] = "a still picture"
    most_bytes: ClassVar[int] = 256

    asked_ms: UnixMs
    width: Annotated[int, Meta(ge=1, le=1 << 20)]
    height: Annotated[int, Meta(ge=1, le=1 << 20)]
    capture_ms: UnixMs
