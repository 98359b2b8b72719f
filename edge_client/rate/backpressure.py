"""A stream in Redis is trimmed to about its ``maxlen``: whoever must lose nothing waits until there is room.

The dispatcher deletes what it ended, so the stream's length is its backlog.
"""

from __future__ import annotations

import math

import structlog

_LOG = structlog.get_logger("edge.uplink")
_LITTLE, _PERIOD_S = 32, 0.25


class Room:
    """How many packets may be added before unread ones would be trimmed.

    The length is asked for on the line that the packets take, so it counts those sent before and none sent after.
    """

    def __init__(self, key: str, maxlen: int) -> None:
        self._key = key
        self._maxlen = maxlen
        self._left = 0.0
        self._due_s = -math.inf
        self._sent_since = 0
        self._asked = False
        self._was_full = False

    @property
    def left(self) -> float:
        """So many packets, by what Redis said last; infinite if it does not say."""
        return self._left

    def due(self, now_s: float) -> bool:
        """Whether to ask, as little is known to be left; asking commits to it."""
        if self._asked or self._left >= _LITTLE or now_s < self._due_s:
            return False
        self._asked, self._sent_since, self._due_s = True, 0, now_s + _PERIOD_S
        return True

    def sent(self) -> None:
        """One more is on its way."""
        self._left -= 1
        self._sent_since += 1

    def answered(self, length: int) -> None:
        """So many packets were in the stream when those sent before the question were."""
        self._asked = False
        self._left = max(0, self._maxlen - length - self._sent_since)
        full = length >= self._maxlen
        if full and not self._was_full:
            remedy = "is a dispatcher running, and fast enough?"
            _LOG.warning("stream_full", key=self._key, packets=length, remedy=remedy)
        self._was_full = full

    def refused(self, reason: str) -> None:
        """This user may not ask: it is told of once, and never held back."""
        self._left = math.inf
        remedy = "allow this user XLEN on its feature key, or packets that nobody reads in time are trimmed"
        _LOG.warning("backlog_unreadable", reason=reason, remedy=remedy)

    def forget(self) -> None:
        """The connection is gone, and the question with it."""
        self._asked, self._due_s = False, -math.inf
