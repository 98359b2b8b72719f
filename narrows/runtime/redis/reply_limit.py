"""A parser that gives up on a reply that is too large, before the rest of it is taken into this process.

How much a stream's entry holds is up to who wrote it: ``proto-max-bulk-len`` bounds a field, nothing bounds how many
there are. So what reads entries says how much it will take.
"""

from __future__ import annotations

from typing import Any

from redis._parsers import _AsyncHiredisParser
from redis._parsers.hiredis import NOT_ENOUGH_DATA
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

    @property
    def quiet(self) -> bool:
        """Whether the connection is open as far as is known, and nothing came that nobody read."""
        stream: Any = self._stream
        reader: Any = self._reader
        return self._connected and not (stream.at_eof() or stream._buffer or reader.has_data())  # noqa: SLF001

    async def replies(self, count: int) -> list[Any]:
        """So many replies; errors that the server answers with are among them.

        Raises:
            ReplyLimitPassed, redis.ConnectionError: as :meth:`read_from_socket`; the latter too where the server says
                that it is not ready yet.
        """
        reader: Any = self._reader
        found: list[Any] = []
        while len(found) < count:
            reply = reader.gets()
            if reply is NOT_ENOUGH_DATA:
                await self.read_from_socket()
                continue
            if isinstance(reply, ConnectionBroken):
                raise reply
            found.append(reply)
        return found

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
