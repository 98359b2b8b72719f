"""The server's clock, known here between two looks at it, and whether it was set back or ahead."""

from __future__ import annotations

import time
from collections.abc import Callable

from narrows.runtime.redis.store import Store

STEP_MS = 128.0
"""A clock that is off by less is slewed, not set: ntpd's step threshold."""


def _untold(_step_s: float) -> None:
    """Nobody wants to know."""


class ServerClock:
    """Redis' clock as an offset to a monotonic one.

    Ages are measured on the monotonic clock, so what is set on the server changes none of them.

    Attributes:
        highest_ms: the latest that the server's clock is known to have shown. Above the present it was set back since:
            Redis gives no id below a stream's last one, so ids may stand still there.
    """

    def __init__(
        self,
        monotonic: Callable[[], float] = time.monotonic,
        stepped: Callable[[float], None] = _untold,
        at: str | None = None,
    ) -> None:
        """``stepped`` is told when the server's clock was set ahead, or back (below 0), by how many seconds.

        ``at``: it is the clock of the server that holds this key.
        """
        self._monotonic, self._stepped, self._at = monotonic, stepped, at
        self._offset_ms = time.time() * 1000 - monotonic() * 1000
        self._known = False
        self.highest_ms = 0.0

    def now_ms(self) -> float:
        """Unix milliseconds on the server."""
        return self.at_ms(self._monotonic())

    def at_ms(self, monotonic_s: float) -> float:
        """What the server's clock as it is set now showed, or will show, at a time of the monotonic clock."""
        return monotonic_s * 1000 + self._offset_ms

    @property
    def set_back_s(self) -> float:
        """By how much the server's clock is behind what it has shown before."""
        return max(0.0, self.highest_ms - self.now_ms()) / 1000 if self._known else 0.0

    def was_at(self, server_ms: float) -> None:
        """The server's clock is known to have shown this."""
        self.highest_ms = max(self.highest_ms, server_ms)

    async def look(self, store: Store) -> None:
        """Read the server's clock.

        Raises:
            ServiceError: Redis is away.
        """
        before_s = self._monotonic()
        server_ms = await store.time_ms(self._at)
        self.answered(before_s, server_ms, self._monotonic())

    def answered(self, asked_s: float, server_ms: float, answered_s: float) -> None:
        """The server said what time it is, some time between question and answer.

        What is known stays where it agrees with the answer, so that a slow one makes nothing worse.
        """
        least_ms, most_ms = server_ms - answered_s * 1000, server_ms - asked_s * 1000
        nearest_ms = min(max(self._offset_ms, least_ms), most_ms)
        step_ms = nearest_ms - self._offset_ms
        if not self._known or abs(step_ms) >= STEP_MS:
            nearest_ms = (least_ms + most_ms) / 2
        if self._known:
            self.was_at(self.at_ms(asked_s))
            if abs(step_ms) >= STEP_MS:
                self._stepped(step_ms / 1000)
        self._offset_ms, self._known = nearest_ms, True
