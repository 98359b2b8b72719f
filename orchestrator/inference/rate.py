"""How many a second, of late."""

from __future__ import annotations


class Rate:
    """Counts events and reads them as a rate that forgets with a half-life."""

    def __init__(self, half_life_s: float) -> None:
        self.per_s = 0.0
        self._half_life_s = half_life_s
        self._count = 0
        self._known = False

    def observe(self, count: int) -> None:
        """So many more."""
        self._count += count

    def take(self, elapsed_s: float) -> float:
        """The rate, with what was counted in the ``elapsed_s`` since the last call; the first is taken as it is."""
        now, self._count = self._count / elapsed_s, 0
        keep = half(elapsed_s, self._half_life_s) if self._known else 0.0
        self.per_s, self._known = keep * self.per_s + (1 - keep) * now, True
        return self.per_s


def half(elapsed_s: float, half_life_s: float) -> float:
    """What is left after so long."""
    return float(0.5 ** (elapsed_s / half_life_s))
