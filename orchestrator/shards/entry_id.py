"""Entry ids: Redis gives them by its clock, unless a camera chose one of its own. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

AHEAD_MS = 2_000
"""Ids of a server that took over may be ahead of its clock by as much: what two clocks differ without anybody setting
one, and what a dispatcher may be wrong about Redis' clock between two looks at it."""
BEHIND_MS = 2_000
"""Likewise, below the time at which a stream had nothing more to read."""
OLDEST_MS = 30 * 86_400_000
"""No install keeps a frame waiting for longer."""


def entry_ms(entry: bytes) -> int:
    """The milliseconds of an entry id."""
    return int(entry.partition(b"-")[0])


def entry_order(entry: bytes) -> tuple[int, int]:
    """An entry id as Redis orders them."""
    ms, _, count = entry.partition(b"-")
    return int(ms), int(count)


@dataclass(frozen=True, slots=True)
class IdRange:
    """Which milliseconds Redis may give now, and which it may have given to what still waits.

    Attributes:
        now_ms: its clock.
        highest_ms: the latest that its clock has shown; where that is later than now, ids may stand still there.
        read_ms: the stream had nothing more to read at that time, by its clock; minus infinity: not known.
    """

    now_ms: float
    highest_ms: float = -math.inf
    read_ms: float = -math.inf

    def forged(self, at_ms: int) -> str | None:
        """Why Redis did not give an id of these milliseconds; ``None``: it may have."""
        if at_ms > max(self.now_ms, self.highest_ms) + AHEAD_MS:
            return f"an entry id {at_ms - self.now_ms:.0f} ms ahead of Redis' clock: it was chosen by who sent it"
        if at_ms < self.now_ms - OLDEST_MS:
            return f"an entry id {self.now_ms - at_ms:.0f} ms old: it was chosen by who sent it"
        if at_ms < self.read_ms - BEHIND_MS:
            late_ms = self.read_ms - at_ms
            return (
                f"an entry id from {late_ms:.0f} ms before the stream was read to its end: it was chosen by who sent it"
            )
        return None

    def age_ms(self, at_ms: int) -> float:
        """How long an entry has waited, as far as its id can be believed: one ahead of the clock says nothing."""
        return 0.0 if self.forged(at_ms) else max(0.0, self.now_ms - at_ms)
