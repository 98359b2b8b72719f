"""How much of this thread's time other programs take: what it stood in line for a core, over that and what it ran.

The kernel counts both for each thread (``/proc/thread-self/schedstat``, Documentation/scheduler/sched-stats.rst). A
share of all cores would say that a device of four is a quarter full while a network of one thread loses nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

_SCHEDSTAT = Path("/proc/thread-self/schedstat")
_GAIN, _MEMORY_NS = 0.2, 0.5e9
Times = tuple[float, float]


class DeviceLoad:
    """Read it in the thread that encodes, once a frame; 0 where nothing tells.

    A mean over about five frames, or over half a second if that is less: a device that was slowed down shows it in one
    slow frame.
    """

    def __init__(self, times: Callable[[], Times] | None = None) -> None:
        self._times = times or thread_times
        self._before = self._times()
        self._load = 0.0

    def read(self) -> float:
        """The share that others took of late, 0 to 1."""
        (ran, waited), now = self._before, self._times()
        ran, waited, self._before = now[0] - ran, now[1] - waited, now
        if ran + waited > 0:
            gain = max(_GAIN, 1 - math.exp(-(ran + waited) / _MEMORY_NS))
            self._load += gain * (waited / (ran + waited) - self._load)
        return self._load


def thread_times() -> Times:
    """Nanoseconds that this thread ran, and that it waited for a core."""
    try:
        ran_ns, waited_ns, *_ = _SCHEDSTAT.read_text().split()
        return float(ran_ns), float(waited_ns)
    except (OSError, ValueError):
        return 0.0, 0.0
