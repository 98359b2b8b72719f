"""Which keys are written, said by the server as they are: Redis' client-side caching in broadcast mode.

::

    HELLO 3
    CLIENT TRACKING ON BCAST PREFIX narrows:{3}:in:
    ◄── push: invalidate [narrows:{3}:in:cam-7, narrows:{3}:in:cam-9]

https://redis.io/docs/latest/develop/reference/client-side-caching/, "Broadcasting mode". One message names all that was
written in one turn of the server's event loop. XADD and XDEL write in this sense; XREADGROUP, XACK and XCLAIM do not.
A message may be lost with its connection, so who asks looks at every key when one is made, and now and then.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from redis.asyncio.connection import ConnectionPool
from redis.exceptions import ResponseError

from narrows.runtime.redis.connection import LONGEST_CONNECTION_S

_MOST_MESSAGE_BYTES = 64 << 20
_BEGIN_S = 2.0
_LOOK_S = 1.0
Written = Callable[[Sequence[bytes] | None], None]
"""Is told the keys that were written; ``None``: any may have been."""


async def follow_writes(
    pool: ConnectionPool, commands: Sequence[bytes], written: Written, goes_on: Callable[[], bool]
) -> None:
    """Tell which keys are written over a connection of its own; returns when that is to be made anew.

    The server may cut it for room (``maxmemory-clients``), unlike others of ours: a reader that was stopped must not
    make the server keep messages without end.

    Args:
        pool: whose kind of connection it is; the pool does not count it.
        commands: HELLO and CLIENT TRACKING, packed.
        written: is told ``None`` once every write is followed.
        goes_on: asked about once a second.

    Raises:
        redis.RedisError, OSError: it cannot be made, or broke.
        redis.ResponseError: the server does not track, or not for this user.
        TimeoutError: it gives no answer.
    """
    options: dict[str, Any] = {**pool.connection_kwargs, "redis_connect_func": None}
    connection = pool.connection_class(**options)
    try:
        async with asyncio.timeout(_BEGIN_S):
            await connection.connect()  # type: ignore[no-untyped-call]
            parser: Any = connection._parser  # noqa: SLF001 - a LimitedParser, by `Server.at`
            await connection.send_packed_command(b"".join(commands))
            for reply in await parser.replies(len(commands)):
                if isinstance(reply, ResponseError):
                    raise reply
        until_s = time.monotonic() + LONGEST_CONNECTION_S
        written(None)
        while goes_on() and time.monotonic() < until_s:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S):
                    await _tell(parser, written)
    finally:
        await connection.disconnect(nowait=True)


async def _tell(parser: Any, written: Written) -> None:  # noqa: ANN401 - a LimitedParser
    while True:
        parser.left_bytes = _MOST_MESSAGE_BYTES
        ((_, keys),) = await parser.replies(1)
        written(keys)  # None after FLUSHALL
