"""Whether this very process stood still: stopped, suspended with its machine, or starved of a processor.

After that everything that it waited for is late at once, and no service is to blame.
"""

from __future__ import annotations

import time
from collections.abc import Callable

PERIOD_S = 0.25
_PAUSE_S, _LATELY_S = 1.0, 1.0


def _elapsed_s() -> float:
    """A clock that goes on while the machine is suspended, which Linux's monotonic one does not."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class PauseWatch:
    """Knows by ticks that should come every :data:`PERIOD_S`."""

    def __init__(self, clock: Callable[[], float] = _elapsed_s) -> None:
        self._clock = clock
        self._ticked_s: float | None = None
        self._ended_s = float("-inf")

    def tick(self) -> float:
        """How long the process stood still since the last tick, in seconds; 0 where it did not."""
        now_s = self._clock()
        still_s = 0.0 if self._ticked_s is None else now_s - self._ticked_s - PERIOD_S
        self._ticked_s = now_s
        if still_s < _PAUSE_S:
            return 0.0
        self._ended_s = now_s
        return still_s

    def lately(self) -> bool:
        """Whether it stood still until a moment ago; also before the first tick after that."""
        now_s = self._clock()
        overdue = self._ticked_s is not None and now_s - self._ticked_s > PERIOD_S + _PAUSE_S
        return overdue or now_s - self._ended_s < _LATELY_S


PROCESS = PauseWatch()
"""This process's own."""
