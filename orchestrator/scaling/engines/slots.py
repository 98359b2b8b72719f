"""How many servers fit, learned from those that found no place."""

from __future__ import annotations

import time
from collections.abc import Callable

from orchestrator.scaling.replicas import CapacityExhausted


class LearnedSlots:
    """A cluster tells that it is full only by a server that waits for a place. That is remembered for a while.

    Otherwise the waiting one would be taken back, nothing would wait any more, and it would be asked for again.
    """

    def __init__(self, remember_s: float = 300.0, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._remember_s, self._monotonic = remember_s, monotonic
        self._placed, self._until_s = 0, float("-inf")

    def note(self, placed: int, waiting: int) -> int | None:
        """So many have a place, so many wait in vain; answers how many fit, ``None`` where that is not known."""
        if waiting:
            self._placed, self._until_s = placed, self._monotonic() + self._remember_s
        elif placed > self._placed:
            self._until_s = float("-inf")  # there was room after all
        return self.known

    @property
    def known(self) -> int | None:
        """How many fit."""
        return self._placed if self._monotonic() < self._until_s else None

    def check(self, target: int, wanted: int) -> None:
        """Let fewer pass, and what fits.

        Raises:
            CapacityExhausted: it is more than before, and more than fit.
        """
        if self.known is not None and target > max(self.known, wanted):
            raise CapacityExhausted(
                f"{target} servers asked for; the last that were asked for found no place, {self.known} fit"
            )
