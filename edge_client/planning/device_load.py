"""How much of this thread's time others take: other programs by what it stood in line for a core, a quota by its limit.

The kernel counts for each thread what it ran and what it waited while it could have run
(``/proc/thread-self/schedstat``, Documentation/scheduler/sched-stats.rst); what a control group holds back counts as
waiting. A share of all cores would say that a device of four is a quarter full while a network of one thread loses
nothing. A quota is known before it was felt: a camera with a tenth of a core plans for that from its first frame.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

from narrows.runtime.control_groups import CpuLimit

_SCHEDSTAT = Path("/proc/thread-self/schedstat")
_GAIN, _MEMORY_NS = 0.2, 0.5e9
_LIMIT_READ_S = 0.5
Times = tuple[float, float]


class DeviceLoad:
    """Of the thread that encodes; 0 where nothing tells.

    Attributes:
        lately: the share of its time that it waited from one call of :meth:`ran` to the next, 0 to 1.
    """

    def __init__(
        self,
        monotonic_s: Callable[[], float],
        times: Callable[[], Times] | None = None,
        limit_cores: Callable[[], float] | None = None,
    ) -> None:
        self._monotonic_s = monotonic_s
        self._times, self._limit_cores = times or thread_times, limit_cores or CpuLimit.here().cores
        self._before = self._times()
        self._waited = self._held_back = self.lately = 0.0
        self._limit_due_s = -math.inf

    def ran(self) -> None:
        """A frame was encoded in this thread."""
        (ran, waited), now = self._before, self._times()
        ran, waited, self._before = now[0] - ran, now[1] - waited, now
        if min(ran, waited) >= 0 and ran + waited > 0:  # else they are another thread's, or could not be read
            self.lately = waited / (ran + waited)
            gain = max(_GAIN, 1 - math.exp(-(ran + waited) / _MEMORY_NS))
            self._waited += gain * (self.lately - self._waited)

    def expected(self) -> float:
        """The share that the next frame has to do without, 0 to 1.

        What others took of late, a mean over about five frames, or over half a second if that is less: a device that
        was slowed down shows it in one slow frame. No less than the limit takes of one thread.
        """
        now_s = self._monotonic_s()
        if now_s >= self._limit_due_s:
            self._limit_due_s = now_s + _LIMIT_READ_S
            self._held_back = 1 - min(self._limit_cores(), 1.0)
        return max(self._waited, self._held_back)


def thread_times() -> Times:
    """Nanoseconds that this thread ran, and that it waited for a core."""
    try:
        ran_ns, waited_ns, *_ = _SCHEDSTAT.read_text().split()
        return float(ran_ns), float(waited_ns)
    except (OSError, ValueError):
        return 0.0, 0.0
