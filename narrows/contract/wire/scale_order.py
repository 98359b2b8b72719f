"""What the operator orders of the autoscaler: the record under ``narrows:{scale}:command``."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from narrows.contract.errors import RecordError
from narrows.contract.wire.record import Record, UnixMs

MAX_ORDER_BYTES = 1024
MAX_SERVERS = 10_000
MAX_WHO_CHARACTERS = 200


class ScaleOrder(Record, frozen=True, tag_field="v", tag=1):
    """The standing order; without a record the autoscaler decides alone.

    Attributes:
        servers: how many servers there shall be, 0 to 10 000; ``None`` leaves it to the policy.
        frozen: nothing shall be changed.
        who: who ordered last.
        at_ms: when, by Redis' clock, Unix milliseconds.
    """

    what: ClassVar[str] = "a scale order"
    most_bytes: ClassVar[int] = MAX_ORDER_BYTES

    servers: Annotated[int, Meta(ge=0, le=MAX_SERVERS)] | None = None
    frozen: bool = False
    who: Annotated[str, Meta(max_length=MAX_WHO_CHARACTERS)] = ""
    at_ms: UnixMs = 0


def parse_target(text: str) -> int | None:
    """The N of ``narrows scale set N``; ``None`` for ``auto``.

    Raises:
        RecordError: it is neither.
    """
    if text.strip().lower() == "auto":
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= 6 and int(text) <= MAX_SERVERS):
        raise RecordError(f"{text[:40]!r} servers: give a whole number from 0 to {MAX_SERVERS}, or auto")
    return int(text)
