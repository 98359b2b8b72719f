"""When a gap in a stream's sequence is called lost. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from narrows.contract.wire.feature import FrameIdentity


class GapWatch:
    """Notes gaps and tells which are due.

    A gap is due when its stream was read to its end ``gap_s`` after the gap was noted, and nothing of it is held here:
    a dispatcher that is behind must not call lost what it has not read.
    """

    def __init__(self, gap_s: float) -> None:
        self._gap_s = gap_s
        self._noted_s: dict[FrameIdentity, float] = {}

    def __len__(self) -> int:
        """How many gaps are open."""
        return len(self._noted_s)

    def look(
        self, gaps: Iterable[FrameIdentity], *, now_s: float, drained_s: float, held: Collection[FrameIdentity | None]
    ) -> list[FrameIdentity]:
        """Note the gaps of now; answer those that are due, in order.

        Args:
            gaps: identities without an end.
            now_s: monotonic clock.
            drained_s: when the stream was last read to its end, same clock.
            held: identities in this process; ``None`` for an entry not parsed yet.
        """
        self._noted_s = {gap: self._noted_s.get(gap, now_s) for gap in gaps}
        if None in held:
            return []
        return sorted(
            gap for gap, noted_s in self._noted_s.items() if drained_s >= noted_s + self._gap_s and gap not in held
        )
