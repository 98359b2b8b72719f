"""The HTTP servers of the cloud's programs: one way to serve, also what a program exposes."""

from __future__ import annotations

import asyncio
import codecs
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler

from narrows.contract.errors import ServiceError
from narrows.runtime.connections import Connection, Connections
from narrows.runtime.exposure import PATHS, UNAUTHORIZED_TEXT, Exposure, Reply
from narrows.runtime.listening import Limits, limits, parse_address

UNIX = "unix://"
_SWEEP_S = 0.5
_LINGER_S = 1.0
Answer = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


def make_app(exposure: Exposure) -> web.Application:
    """An application with what a program exposes."""

    async def reply(path: str, authorization: str) -> Reply:
        return exposure.reply(path, authorization)

    return app_replying(reply)


def app_replying(reply: Callable[[str, str], Awaitable[Reply]]) -> web.Application:
    """An application whose answers to the three paths ``reply`` gives, by path and header ``Authorization``."""

    async def answer(request: web.Request) -> web.Response:
        found = await reply(request.path, request.headers.get("Authorization", ""))
        headers = {"Content-Type": found.content_type, **dict(found.headers)}
        return web.Response(status=found.status, body=found.body, headers=headers)

    app = web.Application()
    app.add_routes([web.get(path, answer) for path in PATHS])
    return app


def token_needed(also: str = "") -> web.HTTPUnauthorized:
    """The answer to who did not bring the token."""
    return web.HTTPUnauthorized(text=f"{UNAUTHORIZED_TEXT}{also}.\n", headers={"WWW-Authenticate": "Bearer"})


def bearer_headers(token: str | None) -> dict[str, str]:
    """What a request brings where a token is needed."""
    return {} if token is None else {"Authorization": f"Bearer {token}"}


@asynccontextmanager
async def serve(
    served: web.Application | Answer, address: str, granted: Limits | None = None, *, option: str = "--http"
) -> AsyncIterator[str]:
    """Serve while the context lasts; yields the address that was bound (port 0 takes a free one).

    Every port of the cloud's programs is served by this: so many connections, so long to send a request and to take an
    answer (:class:`~narrows.runtime.listening.Limits`), the same headers on every answer, 400 to what cannot be read.

    Args:
        served: an application, or what answers every request, whatever its path.
        address: ``HOST:PORT`` or ``unix:///PATH``.
        granted: by default what suits this process.
        option: what the address is given with, for the message.

    Raises:
        ServiceError: the address cannot be bound.
    """
    runner = _runner(served)
    await runner.setup()
    manager = runner.server
    if manager is None:  # a runner that was set up has one
        raise AssertionError
    loop = asyncio.get_running_loop()
    connections = Connections(granted or limits(), loop.time)
    sweeping = loop.create_task(_sweep(connections))
    try:
        listener, bound = await _listen(lambda: Connection(manager, connections, loop), address)
        try:
            yield bound
        finally:
            listener.close()
    except OSError as error:
        raise ServiceError(
            f"cannot listen on {address}: {error.strerror or error}; choose another with {option} HOST:PORT"
        ) from None
    finally:
        sweeping.cancel()
        await runner.cleanup()


def _runner(served: web.Application | Answer) -> web.AppRunner | web.ServerRunner:
    if isinstance(served, web.Application):
        served.middlewares.insert(0, _reads_middleware)
        return web.AppRunner(served, access_log=None, shutdown_timeout=_LINGER_S)

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        return await _read(request, served)

    return web.ServerRunner(web.Server(answer), shutdown_timeout=_LINGER_S)


@web.middleware
async def _reads_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    return await _read(request, handler)  # type: ignore[arg-type]  # aiohttp has a type for each of its two requests


async def _read(request: web.BaseRequest, handler: Answer) -> web.StreamResponse:
    """Answer a request; text in it that no alphabet has is the client's fault, not ours."""
    connection = request.protocol
    if isinstance(connection, Connection):
        connection.work_on(request)
    try:
        codecs.lookup(request.charset or "utf-8")
        return await handler(request)
    except (UnicodeError, LookupError) as error:
        if isinstance(error, (KeyError, IndexError)):  # those are ours
            raise
        raise web.HTTPBadRequest(text="The request has bytes or a charset that cannot be read.\n") from None


async def _sweep(connections: Connections) -> None:
    while True:
        await asyncio.sleep(_SWEEP_S)
        connections.drop_overdue()


async def _listen(make: Callable[[], Connection], address: str) -> tuple[asyncio.Server, str]:
    loop = asyncio.get_running_loop()
    if address.startswith(UNIX):
        return await _listen_at_path(make, Path(address.removeprefix(UNIX))), address
    host, port = parse_address(address)
    listener = await loop.create_server(make, host, port, backlog=1024)
    return listener, f"{host}:{listener.sockets[0].getsockname()[1]}"


async def _listen_at_path(make: Callable[[], Connection], path: Path) -> asyncio.Server:
    """A socket that its owner and group may use; one left by a former run is replaced."""
    _clear(path)
    before = os.umask(0o117)
    try:
        return await asyncio.get_running_loop().create_unix_server(make, str(path))
    finally:
        os.umask(before)


def _clear(path: Path) -> None:
    if path.is_socket():
        path.unlink(missing_ok=True)
