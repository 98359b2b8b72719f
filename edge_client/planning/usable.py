"""Which designs of a split network a camera can use now, of all that its bundle has."""

from __future__ import annotations

from collections.abc import Iterable

import structlog
from msgspec.structs import replace

from narrows.contract.schedule import Design, PlanTable
from narrows.contract.wire.feature import MAX_PACKET_BYTES

_LOG = structlog.get_logger("edge.planning")
_CROWDED_S = 60.0
"""A cut at which a frame had no room in a packet is left for so long: a scene costs it a frame a minute at most."""


class UsableDesigns:
    """Those whose head runs here and whose tail is served, with room in a packet.

    Where no head has a tail that is served, all heads go on: their frames wait in Redis for a server that has it. Where
    no design has room, all may try.

    Attributes:
        heads: cuts whose head is here and runs.
    """

    def __init__(self, table: PlanTable, heads: Iterable[int]) -> None:
        self._all, self.heads = table, frozenset(heads)
        self._served: frozenset[int] | None = None
        self._crowded_until_s: dict[int, float] = {}
        self._changed = True

    def lose_head(self, cut: int) -> None:
        """A head cannot be run."""
        self.heads, self._changed = self.heads - {cut}, True

    def serve(self, cuts: Iterable[int] | None) -> None:
        """The cuts whose tails are served; ``None``: nobody said which."""
        served = None if cuts is None else frozenset(cuts)
        if served != self._served:
            self._served, self._changed = served, True

    def crowd(self, cut: int, now_s: float) -> None:
        """A frame at this cut had no room in a packet."""
        self._crowded_until_s[cut], self._changed = now_s + _CROWDED_S, True

    def changed(self, now_s: float) -> PlanTable | None:
        """The designs that can be used, where these are others than at the last call."""
        over = [cut for cut, until_s in self._crowded_until_s.items() if until_s <= now_s]
        for cut in over:
            del self._crowded_until_s[cut]
        if not (over or self._changed):
            return None
        self._changed = False
        here = [design for design in self._all.designs if design.cut in self.heads]
        both = [design for design in here if self._served is None or design.cut in self._served]
        if not both:
            _LOG.warning("no_common_cut", heads=sorted(self.heads), tails=sorted(self._served or ()))
        roomy = [design for design in both or here if self._has_room(design)]
        return replace(self._all, designs=tuple(roomy or both or here))

    def _has_room(self, design: Design) -> bool:
        return design.link_bytes <= MAX_PACKET_BYTES and design.cut not in self._crowded_until_s
