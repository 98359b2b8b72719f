"""The share of realtime frames that end too late, of late."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from narrows.contract.records.report import DispatcherReport

WINDOW_S = 10.0


class Lateness:
    """Follows the dispatchers' counters; a dispatcher's first report is where counting begins."""

    def __init__(self, window_s: float = WINDOW_S) -> None:
        self._window_s = window_s
        self._last: dict[str, tuple[int, int]] = {}
        self._steps: deque[tuple[float, int, int]] = deque()

    def take(self, reports: Iterable[DispatcherReport], now_s: float) -> float:
        """The share, 0 to 1, over the window; 0 where no frame ended."""
        seen = {report.name: (report.realtime_ended, report.realtime_late) for report in reports}
        grown = [_since(counters, self._last[name]) for name, counters in seen.items() if name in self._last]
        self._last = seen
        self._steps.append((now_s, sum(ended for ended, _ in grown), sum(late for _, late in grown)))
        while self._steps[0][0] <= now_s - self._window_s:
            self._steps.popleft()
        ended = sum(ended for _, ended, _ in self._steps)
        late = sum(late for _, _, late in self._steps)
        return min(1.0, late / ended) if ended > 0 else 0.0


def _since(now: tuple[int, int], before: tuple[int, int]) -> tuple[int, int]:
    """How much the counters grew; all of it, if they began anew."""
    if now[0] < before[0] or now[1] < before[1]:
        return now
    return now[0] - before[0], now[1] - before[1]
