"""Frames at an even rate, by a clock that never jumps."""

from __future__ import annotations

import math
from collections.abc import Callable


class Pacer:
    """Says how long to wait before each frame.

    A frame that comes late is not made up for by a burst: the schedule begins anew from it, and the time lost is
    added to ``behind_s``.
    """

    def __init__(self, monotonic_s: Callable[[], float]) -> None:
        self._monotonic_s = monotonic_s
        self._last_due_s: float | None = None
        self.behind_s = 0.0

    def delay_s(self, frames_per_s: float, within_s: float = math.inf) -> float:
        """Seconds until the next frame is due, at least 0.

        Asking commits to that frame if it is due within so many seconds: who waits longer asks again, as the rate may
        be another by then.
        """
        now_s = self._monotonic_s()
        if self._last_due_s is None:
            self._last_due_s = now_s
            return 0.0
        due_s = self._last_due_s + 1.0 / frames_per_s
        if due_s - now_s > within_s:
            return due_s - now_s
        if due_s < now_s:
            self.behind_s += now_s - due_s
            due_s = now_s
        self._last_due_s = due_s
        return due_s - now_s
