"""When to say again what one waits for."""

from __future__ import annotations

import time
from collections.abc import Callable

REMIND_S = 30.0


class Reminder:
    """Whether a trouble that lasts is to be said now: at once, when its words change, and again every half minute.

    Example:
        >>> reminder = Reminder()
        >>> reminder.due("Redis does not answer"), reminder.due("Redis does not answer")
        (True, False)
    """

    def __init__(self, period_s: float = REMIND_S, clock: Callable[[], float] = time.monotonic) -> None:
        self._period_s, self._clock = period_s, clock
        self._words: str | None = None
        self._said_s = 0.0

    def due(self, words: str) -> bool:
        """Ask for each time that the trouble is met."""
        now_s = self._clock()
        if words == self._words and now_s - self._said_s < self._period_s:
            return False
        self._words, self._said_s = words, now_s
        return True

    def over(self) -> bool:
        """The trouble is over, so it is said at once when it comes back; answers whether there was one."""
        was, self._words = self._words is not None, None
        return was
