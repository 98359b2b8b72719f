"""A small gRPC call over one HTTP/2 connection, for what is asked hundreds of times a second.

gRPC's own client takes 200 to 300 µs of processor time a call, in three threads; this takes 80, in the event loop. It
knows one thing: a small message, answered with a whole message, or with a status and why. What a server does beyond
that it calls :class:`Unreadable`, and what it cannot send now :class:`NotAsked`: who asked asks again through gRPC.

In the clear, as Triton serves it. The connection is in ``unary_connection.py``, frames and header blocks below that.
"""

from __future__ import annotations

import asyncio
import math

from orchestrator.inference.header_blocks import request_block
from orchestrator.inference.unary_connection import CallFailed, CallLost, UnaryConnection, Unreadable

__all__ = ["MOST_MESSAGE_BYTES", "CallFailed", "CallLost", "NotAsked", "UnaryMethod", "Unreadable"]

MOST_MESSAGE_BYTES = 8192
"""Of a request: less than the least window of a stream, and than the least frame that every server takes."""
_CONNECT_S = 5.0
_UNREADABLE_RUNNING = 3
_ELSEWHERE_S = 60.0
"""A server whose answers cannot be read here would do each batch twice."""


class NotAsked(Exception):
    """The server was not asked: the request is too large for this, or would have to wait."""


class UnaryMethod:
    """A method of a service at one address. It connects when it is called, and anew where the connection ended."""

    def __init__(self, address: str, method: str) -> None:
        """``address``: ``host:port``; ``method``: as ``/package.Service/Method``."""
        self._address, self._headers = address, request_block(method, address)
        self._connection: UnaryConnection | None = None
        self._open: set[UnaryConnection] = set()
        self._connecting = asyncio.Lock()
        self._closed = False
        self._unreadable = 0
        self._elsewhere_until_s = -math.inf

    async def call(self, request: bytes, timeout_s: float) -> bytes:
        """The message that a message is answered with.

        Raises:
            CallFailed: with a status instead.
            Unreadable: in a way that is not read here; or the server did not take it up.
            NotAsked: it was not sent.
            CallLost: there is no connection, or it ended before.
            TimeoutError: there was no answer in time.
        """
        clock = asyncio.get_running_loop().time
        begun_s = clock()
        if len(request) > MOST_MESSAGE_BYTES or begun_s < self._elsewhere_until_s:
            raise NotAsked
        connection = self._connection
        if connection is None or not connection.usable:
            connection = await self._connected(timeout_s)
        if not connection.has_room(request):
            raise NotAsked
        try:
            answer = await connection.call(request, begun_s + timeout_s - clock())
        except Unreadable:
            self._unreadable += 1
            if self._unreadable >= _UNREADABLE_RUNNING:
                self._unreadable, self._elsewhere_until_s = 0, clock() + _ELSEWHERE_S
            raise
        except CallFailed:
            self._unreadable = 0
            raise
        self._unreadable = 0
        return answer

    def close(self) -> None:
        """End the connection, and what is asked on it and on those before."""
        self._closed = True
        for connection in list(self._open):
            connection.close()

    async def _connected(self, timeout_s: float) -> UnaryConnection:
        try:
            async with asyncio.timeout(min(_CONNECT_S, timeout_s)), self._connecting:
                if self._connection is None or not self._connection.usable:
                    self._connection = await self._connect()
                return self._connection
        except (OSError, ValueError, OverflowError) as error:
            raise CallLost(str(error) or "it does not answer") from None

    async def _connect(self) -> UnaryConnection:
        if self._connection is not None:
            self._connection.leave()
        host, _, port = self._address.rpartition(":")
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: UnaryConnection(self._headers, self._open.discard), host.strip("[]"), int(port)
        )
        self._open.add(connection)
        if self._closed:
            connection.close()
        return connection
