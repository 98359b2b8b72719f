"""One line every few seconds for whoever watches the terminal."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from edge_client.stats import EdgeStats

_LOG = structlog.get_logger("edge")
_PERIOD_S = 5.0


class Progress:
    """Logs what happened since its last line, at most every ``period_s``."""

    def __init__(self, monotonic_s: Callable[[], float], period_s: float = _PERIOD_S) -> None:
        self._monotonic_s = monotonic_s
        self._period_s = period_s
        self._last_s = monotonic_s()
        self._last = EdgeStats()

    def tick(self, stats: EdgeStats) -> None:
        """Log if it is time to."""
        elapsed_s = self._monotonic_s() - self._last_s
        if elapsed_s >= self._period_s:
            _LOG.info("progress", **summarise(self._last, stats, elapsed_s))
            self._last_s += elapsed_s
            self._last = stats


def summarise(before: EdgeStats, now: EdgeStats, elapsed_s: float) -> dict[str, object]:
    """Rates and means between two readings of the counters."""
    taken = now.frames_taken - before.frames_taken
    line: dict[str, object] = {
        "sent": now.frames_sent,
        "fps": round((now.frames_sent - before.frames_sent) / elapsed_s, 1),
        "kbit_s": round((now.bytes_sent - before.bytes_sent) * 8e-3 / elapsed_s, 1),
        "network_ms": round((now.network_s - before.network_s) * 1e3 / taken, 1) if taken else None,
        "coder_ms": round((now.coder_s - before.coder_s) * 1e3 / taken, 2) if taken else None,
        "queue": now.frames_waiting,
    }
    if now.frames_dropped:
        line["dropped"] = sum(now.frames_dropped.values())
    if now.passed_over:
        line["passed_over"] = now.passed_over
    if now.behind_s - before.behind_s > 0.1 * elapsed_s:
        line["behind_s"] = round(now.behind_s - before.behind_s, 1)
    return line
