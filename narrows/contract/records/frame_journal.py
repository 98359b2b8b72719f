"""A camera's journal: a line of JSON a frame, written by ``narrows edge --journal``; the last line sums up.

Between them a camera that plans says from which frame on it uses which design, and why.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta, field

from narrows.contract.json_text import decode_object
from narrows.contract.wire.feature import FrameIdentity
from narrows.contract.wire.record import Count, Record, UnixMs

_WHAT = "a journal line"
_MOST_BYTES = 1 << 16
FEATURES = "features"


class FilmedFrame(Record, frozen=True):
    """Which picture a frame was.

    Attributes:
        name: of the file, or of the moment, that its source gave it.
    """

    what: ClassVar[str] = _WHAT
    most_bytes: ClassVar[int] = _MOST_BYTES

    epoch: Annotated[int, Meta(ge=0)]
    sequence: Annotated[int, Meta(ge=0, lt=1 << 32)]
    name: str

    @property
    def identity(self) -> FrameIdentity:
        """The frame's identity in its stream."""
        return FrameIdentity(self.epoch, self.sequence)


class JournalLine(FilmedFrame, frozen=True):
    """What became of one frame.

    Attributes:
        capture_ms: when it was taken, by the camera's clock.
        size_bytes: of its packet.
        reason: why it was given up; ``None`` for one that was sent.
        kind: what it travelled as: ``features``, ``masks``, or ``audit`` for both.
    """

    capture_ms: UnixMs
    size_bytes: Count = field(name="bytes")
    sent: bool
    reason: str | None = None
    kind: str = FEATURES

    @property
    def made_its_mask(self) -> bool:
        """Whether the camera made the frame's mask."""
        return self.kind != FEATURES


def is_of_a_frame(line: bytes) -> bool:
    """Whether a line says what became of a frame: not the last, which sums up, nor a change of design.

    Raises:
        RecordError: it is no line of a journal.
    """
    found = decode_object(line, what=_WHAT, most_bytes=_MOST_BYTES)
    return found.get("end") is not True and "design" not in found
