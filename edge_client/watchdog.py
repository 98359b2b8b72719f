"""A program that hangs is restarted: systemd hears of it only while every loop goes round."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

import structlog

from edge_client.sd_notify import WATCHDOG, notify, watchdog_s

_UNWATCHED_S = 60.0
_LOG = structlog.get_logger("edge.watchdog")


class Watchdog:
    """Loops report that they live; as long as none is overdue, ``kick`` is called every ``period_s``.

    A loop is watched from its first :meth:`beat` to :meth:`leave`.
    """

    def __init__(self, kick: Callable[[], object], period_s: float, monotonic_s: Callable[[], float]) -> None:
        self._kick = kick
        self._period_s = period_s
        self._monotonic_s = monotonic_s
        self._lock = Lock()
        self._due_s: dict[str, float] = {}
        self._kicked_s = monotonic_s() - period_s
        self._overdue: list[str] = []

    def beat(self, loop: str, patience_s: float) -> None:
        """A loop lives, and will say so again within ``patience_s``."""
        with self._lock:
            now_s = self._monotonic_s()
            self._due_s[loop] = now_s + patience_s
            overdue = [name for name, due_s in self._due_s.items() if due_s < now_s]
            kicks = not overdue and now_s - self._kicked_s >= self._period_s
            if kicks:
                self._kicked_s = now_s
            news, self._overdue = overdue != self._overdue, overdue
        if kicks:
            self._kick()
        if news and overdue:
            _LOG.error("loop_stands_still", loop=overdue, consequence="systemd will restart the program if it watches")

    def loop(self, name: str, patience_s: float) -> Callable[[], None]:
        """What a loop calls once a round."""
        return lambda: self.beat(name, patience_s)

    def leave(self, loop: str) -> None:
        """A loop has ended as it should."""
        with self._lock:
            self._due_s.pop(loop, None)


def systemd_watchdog(monotonic_s: Callable[[], float]) -> Watchdog:
    """One that tells systemd, twice in the time after which it would restart this program."""
    return Watchdog(lambda: notify(WATCHDOG), (watchdog_s() or _UNWATCHED_S) / 2, monotonic_s)
