"""A parser that gives up on a reply that is too large, before the rest of it is taken into this process.

How much a stream's entry holds is up to who wrote it: ``proto-max-bulk-len`` bounds a field, nothing bounds how many
there are. So what reads entries says how much it will take.
"""

from __future__ import annotations

from typing import Any

from redis._parsers import _AsyncHiredisParser
from redis.exceptions import ConnectionError as ConnectionBroken
from redis.exceptions import RedisError

_GREETING_BYTES = 1 << 20


class ReplyLimitPassed(RedisError):
    """The replies to what was sent are larger than who asked will take; the connection cannot be used any more."""


class LimitedParser(_AsyncHiredisParser):
    """redis-py's parser with a budget.

    Attributes:
        left_bytes: what may still be read; whoever sends a command sets it.
    """

    def __init__(self, socket_read_size: int) -> None:
        super().__init__(socket_read_size=socket_read_size)
        self.left_bytes = _GREETING_BYTES

    def on_connect(self, connection: Any) -> None:  # noqa: ANN401 - as redis-py has it
        """Begin with a connection that is new."""
        super().on_connect(connection)  # type: ignore[no-untyped-call]
        self.left_bytes = _GREETING_BYTES

    async def read_from_socket(self) -> bool:
        """Feed what the socket has.

        Raises:
            ReplyLimitPassed: it is more than there is a budget for.
            redis.ConnectionError: the server closed the connection.
        """
        stream: Any = self._stream
        data = await stream.read(self._read_size)
        if not data:
            raise ConnectionBroken("the server closed the connection")
        self.left_bytes -= len(data)
        if self.left_bytes < 0:
            raise ReplyLimitPassed
        reader: Any = self._reader
        reader.feed(data)
        return True
