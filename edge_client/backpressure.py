"""A stream in Redis is trimmed to about its ``maxlen``: whoever must lose nothing waits until there is room.

The dispatcher deletes what it ended, so the stream's length is its backlog.
"""

from __future__ import annotations

import redis
import structlog
from redis.exceptions import NoPermissionError

from edge_client.link import name_failure

_LOG = structlog.get_logger("edge.uplink")


class Room:
    """How many packets may be added before unread ones would be trimmed."""

    def __init__(self, client: redis.Redis, key: str, maxlen: int) -> None:
        self._client = client
        self._key = key
        self._maxlen = maxlen
        self._left = 0
        self._blind = False
        self._was_full = False

    def free(self, wanted: int) -> int:
        """At most ``wanted``; asks Redis only when what it said before is used up.

        Raises:
            RedisError: Redis did not answer. A user without the right to ask is told of once, and never held back.
        """
        if self._left < wanted and not self._blind:
            self._ask()
        if self._blind:
            return wanted
        free = min(wanted, self._left)
        self._left -= free
        return free

    def _ask(self) -> None:
        try:
            length = int(self._client.xlen(self._key))
        except NoPermissionError as error:
            self._blind = True
            remedy = "allow this user XLEN on its feature key, or packets that nobody reads in time are trimmed"
            _LOG.warning("backlog_unreadable", reason=name_failure(error).reason, remedy=remedy)
            return
        self._left = max(0, self._maxlen - length)
        full = not self._left
        if full and not self._was_full:
            _LOG.warning(
                "stream_full", key=self._key, packets=length, remedy="is a dispatcher running, and fast enough?"
            )
        self._was_full = full
