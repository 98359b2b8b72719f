"""The first level: found within a second instead of waited for, as TCP's slow start finds a window (RFC 5681, 3.1).

::

    coarsest ──► two packets at twice the speed that the next finer level needs ──► one finer ──► ... ──► the finest
                   ├─ slower, two times in all ─────► this level
                   └─ slower than this one needs ──► what that speed bears

Each packet is a little larger than those before it, so a link that lets a few small ones through at once and is thin
behind (a token bucket) shows itself while little is on its way.
"""

from __future__ import annotations

from collections.abc import Callable

MARGIN = 2.0
"""A change of level forces a K frame, about twice as large as a P."""
_HITS, _MISSES = 2, 2


class SlowStart:
    """The level to begin with. Pure but for its own state.

    Attributes:
        level: the level to use, as far as it is known.
        active: whether it is still looked for.
    """

    def __init__(self, coarsest: int, *, active: bool = True) -> None:
        self.level = self._coarsest = coarsest
        self.active = active
        self._misses = self._hits = 0

    @property
    def probes(self) -> bool:
        """Whether a level is being tried that the link may not bear."""
        return self.active and self.level < self._coarsest

    def delivered(self, bytes_per_s: float, needed: Callable[[int], float], finest: int, coded_level: int) -> None:
        """A packet was acknowledged.

        Args:
            bytes_per_s: how fast the link took it.
            needed: bytes a second that a level needs at the full frame rate.
            finest: the finest level that may be used.
            coded_level: the level of the packet that was coded last; until it is the chosen one, nothing is judged.
        """
        if self.level < finest:  # it was asked for a coarser one meanwhile
            self.level, self.active = finest, False
        if not self.active or coded_level != self.level:
            return
        finer = max(finest, self.level - 1)
        if bytes_per_s < needed(self.level):
            self._misses += 1
            fitting = (each for each in range(self.level, self._coarsest) if needed(each) * MARGIN <= bytes_per_s)
            self.level = next(fitting, self._coarsest)
        elif bytes_per_s < MARGIN * needed(finer):
            self._misses += 1
        else:
            self._hits += 1
            if self._hits == _HITS:
                self.active = self.level > finest
                self.level, self._hits = finer, 0
        self.active = self.active and self._misses < _MISSES
