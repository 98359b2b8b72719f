"""The open connections of one HTTP port, each with the time that it has for a request and for taking the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus

import structlog
from aiohttp import web

from narrows.runtime.listening import HEADERS, Held, Limits, to_give_up

_log = structlog.get_logger(__name__)


class Connections:
    """Keeps to the limits of a port."""

    def __init__(self, granted: Limits, monotonic_s: Callable[[], float]) -> None:
        self.granted, self.monotonic_s = granted, monotonic_s
        self._open: dict[Connection, None] = {}  # oldest first

    def add(self, connection: Connection) -> None:
        """A new one; where there are too many, another gives up its place."""
        if len(self._open) >= self.granted.connections:
            held = list(self._open)
            self._give_up(held[to_give_up(Held(each.peer, each.working) for each in held)])
        self._open[connection] = None

    def remove(self, connection: Connection) -> None:
        """One that has ended."""
        self._open.pop(connection, None)

    def drop_overdue(self) -> None:
        """Drop those whose time for a request, or for an answer, is up."""
        now_s = self.monotonic_s()
        for each in [each for each in self._open if each.overdue(now_s)]:
            self._give_up(each)

    def _give_up(self, connection: Connection) -> None:
        self.remove(connection)
        connection.drop()


class Connection(web.RequestHandler):
    """One connection: aiohttp's, with a time limit, our headers on every answer, and no traceback for bad bytes.

    Attributes:
        peer: where it comes from, without the port.
    """

    def __init__(self, server: web.Server, connections: Connections, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(server, loop=loop, access_log=None, keepalive_timeout=connections.granted.idle_s)  # type: ignore[arg-type]
        self._connections = connections
        self._request: web.BaseRequest | None = None
        self._incoming_since_s: float | None = None
        self._answered_s = 0.0
        self.peer = ""

    @property
    def working(self) -> bool:
        """Whether a whole request is being worked on."""
        return self._request is not None and self._request.content.is_eof()

    def overdue(self, now_s: float) -> bool:
        """Whether a request is not whole, or an answer not taken, after its time."""
        granted = self._connections.granted
        if self._incoming_since_s is not None and not self.working:
            return now_s - self._incoming_since_s > granted.request_s
        return self._unsent_bytes() > 0 and now_s - self._answered_s > granted.answer_s

    def work_on(self, request: web.BaseRequest) -> None:
        """The head of a request has been read."""
        self._request = request

    def drop(self) -> None:
        """End the connection at once."""
        if self.transport is not None:
            self.transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client is there."""
        peer = transport.get_extra_info("peername")
        self.peer = str(peer[0]) if isinstance(peer, tuple) else ""
        self._incoming_since_s = self._connections.monotonic_s()
        super().connection_made(transport)
        self._connections.add(self)

    def data_received(self, data: bytes) -> None:
        """Bytes of a request."""
        if self._incoming_since_s is None:
            self._incoming_since_s = self._connections.monotonic_s()
        super().data_received(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        """It has ended."""
        self._connections.remove(self)
        super().connection_lost(exc)

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send an answer, be it a handler's or an error."""
        self._incoming_since_s = None if request.content.is_eof() else self._incoming_since_s
        self._request, self._answered_s = None, self._connections.monotonic_s()
        for name, value in HEADERS.items():
            resp.headers.setdefault(name, value)
        return await super().finish_response(request, resp, start_time)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 -- aiohttp's words, which repeat the client's
    ) -> web.StreamResponse:
        """The answer to a request that cannot be read, or in which we failed; only the latter is worth a traceback."""
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            _log.error("request_failed", method=request.method, path=request.path[:200], exc_info=exc)
        if request.writer.output_size > 0:
            raise ConnectionError("part of an answer is sent already")
        answer = web.Response(status=status, text=f"{status} {HTTPStatus(status).phrase}\n")
        answer.force_close()
        return answer

    def _unsent_bytes(self) -> int:
        """What the client has not taken of its answers."""
        return 0 if self.transport is None else self.transport.get_write_buffer_size()
