"""What ``/readyz`` of every program answers."""

from __future__ import annotations

from typing import ClassVar

from narrows.contract.wire.record import Record


class Readiness(Record, frozen=True):
    """Whether work should be expected of a program.

    Attributes:
        reasons: why not; none for who asks without the token.
    """

    what: ClassVar[str] = "an answer of /readyz"

    ready: bool
    reasons: tuple[str, ...] = ()
