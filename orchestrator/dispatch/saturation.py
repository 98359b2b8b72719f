"""How busy the event loop is: the share of time that its thread ran or stood in line for a core.

What the loop waits for otherwise is news: of Redis, of Triton, of a timer. A loop whose share nears 1 has no time left
to wait, and more decoders behind it would change nothing.

The kernel counts both parts for each thread (``/proc/thread-self/schedstat``: nanoseconds on a core, nanoseconds in the
run queue). CPU time alone, which is what other systems have, would call a dispatcher idle that gets a tenth of a core
and needs a fifth. Waiting for the interpreter's lock counts as neither; the threads beside the loop hold it briefly.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

_SCHEDSTAT = Path("/proc/thread-self/schedstat")


class Saturation:
    """Read it in the loop's own thread."""

    def __init__(
        self, busy_s: Callable[[], float] | None = None, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._busy_s, self._monotonic = busy_s or thread_busy_s, monotonic
        self._before = self._busy_s(), monotonic()

    def read(self) -> float:
        """The busy share since the last reading, 0 to 1."""
        (busy_s, at_s), self._before = self._before, (self._busy_s(), self._monotonic())
        elapsed_s = self._before[1] - at_s
        return min(1.0, max(0.0, (self._before[0] - busy_s) / elapsed_s)) if elapsed_s > 0 else 0.0


def thread_busy_s() -> float:
    """Seconds that this thread ran or wanted to, since it began."""
    try:
        ran_ns, waited_ns, *_ = _SCHEDSTAT.read_text().split()
        return (int(ran_ns) + int(waited_ns)) / 1e9
    except (OSError, ValueError):
        return time.thread_time()
