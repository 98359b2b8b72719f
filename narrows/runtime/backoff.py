"""How long to wait before trying again: doubling, capped, jittered so that a fleet does not knock in step."""

from __future__ import annotations

import random
from dataclasses import dataclass


def jitter() -> float:
    """A share of a time, drawn from its upper half: what many do at the same moment they do not do again together."""
    return random.uniform(0.5, 1.0)


@dataclass(slots=True)
class Backoff:
    """Delays that double from ``first_s`` to ``longest_s``, each drawn from its upper half.

    Equal jitter after Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015.
    """

    first_s: float = 0.2
    longest_s: float = 5.0
    _ceiling_s: float = 0.0

    def next_delay_s(self) -> float:
        """The next delay in seconds."""
        self._ceiling_s = min(self.longest_s, 2 * self._ceiling_s or self.first_s)
        return self._ceiling_s * jitter()

    def reset(self) -> None:
        """It worked: begin small again."""
        self._ceiling_s = 0.0
