"""What the page answers: its own files, one view as JSON, and pictures."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import Any, TypeVar

from aiohttp import web
from aiohttp.typedefs import Handler

from narrows.contract.errors import ServiceError, StreamIdInvalid
from narrows.contract.wire.keys import check_stream_id
from narrows.runtime.page import COOKIE, COOKIE_AGE_S, ENTER, StaticFile, shared_files, static_files
from orchestrator.page.guard import Guard
from orchestrator.page.prompt_routes import add_prompt_routes, add_still_routes
from orchestrator.page.prompting import Prompting
from orchestrator.page.rows import Order, Query
from orchestrator.page.states import StreamState
from orchestrator.page.watch import Watch

_FORM = "application/x-www-form-urlencoded"
_MOST_WORDS = 200
_ENTRY_ID = re.compile(r"\d{1,20}-\d{1,20}")
T = TypeVar("T")


def make_page(watch: Watch, guard: Guard, prompting: Prompting) -> web.Application:
    """The application."""
    app = web.Application(middlewares=[guard.middleware()], client_max_size=4096)
    own = shared_files() | static_files(files(__package__).joinpath("static"))
    app.add_routes([web.get("/", _file(own["index.html"])), web.get("/healthz", _healthz)])
    app.add_routes([web.get(f"/static/{name}", _file(each)) for name, each in own.items() if name != "index.html"])
    app.add_routes([web.get(ENTER, _file(own["enter.html"])), web.post(ENTER, _enter(guard))])
    app.add_routes([web.get("/api/view", _view(watch, guard)), web.get("/api/legends", _legends(watch))])
    app.add_routes([web.get("/api/streams/{stream}/mask.png", _mask(watch))])
    app.add_routes([web.get("/api/streams/{stream}/objects.png", _objects(watch))])
    app.add_routes([web.get("/api/streams/{stream}/frame", _frame(watch))])
    add_prompt_routes(app, prompting, guard)
    add_still_routes(app, prompting, guard)
    return app


def _file(file: StaticFile) -> Handler:
    async def answer(request: web.Request) -> web.Response:
        return _tagged(request, file.tag, lambda: (file.body, file.kind), charset="utf-8")

    return answer


async def _healthz(_: web.Request) -> web.Response:
    return web.json_response({"alive": True})


def _enter(guard: Guard) -> Handler:
    async def answer(request: web.Request) -> web.Response:
        if request.content_type != _FORM:  # a form in parts may carry files, and fails in odder ways
            raise web.HTTPUnsupportedMediaType(text=f"Send the token as {_FORM}.\n")
        given = (await request.post()).get("token")
        cookie = guard.cookie_of(given.strip()) if isinstance(given, str) else None
        if cookie is None:
            await asyncio.sleep(0.5)  # a guesser waits
            raise web.HTTPSeeOther(f"{ENTER}#wrong")
        response = web.Response(status=303, headers={"Location": "/"})
        response.set_cookie(
            COOKIE, cookie, max_age=COOKIE_AGE_S, httponly=True, samesite="Strict", secure=request.secure
        )
        return response

    return answer


def _view(watch: Watch, guard: Guard) -> Handler:
    async def answer(request: web.Request) -> web.Response:
        view = await watch.view(parse_query(request.query))
        view["prompting"] = {"operators": guard.prompting, "operator": guard.is_operator(request)}
        return web.json_response(view, headers={"Cache-Control": "no-store"})

    return answer


def _legends(watch: Watch) -> Handler:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response(watch.legends())

    return answer


def parse_query(given: Any) -> Query:  # noqa: ANN401  a mapping of the framework's, or a dictionary
    """What a visitor looks for.

    Raises:
        HTTPBadRequest: a value that is none; the message names the ones there are.
    """
    try:
        return Query(
            words=str(given.get("q", ""))[:_MOST_WORDS],
            state=StreamState(given["state"]) if given.get("state") else None,
            order=Order(given.get("order") or Order.TROUBLE),
            page=int(given.get("page") or 1),
            size=int(given.get("size") or Query().size),
        )
    except ValueError as error:
        names = f"state: {', '.join(StreamState)}; order: {', '.join(Order)}; page and size: whole numbers"
        raise web.HTTPBadRequest(text=f"{error}; {names}\n") from None


def _mask(watch: Watch) -> Handler:
    async def answer(request: web.Request) -> web.Response:
        entry, png = await _asked(watch.mask(_stream_of(request), _entry_of(request)))
        if not png:
            raise web.HTTPNotFound(text="This stream has no mask in Redis: none ended so far, or an hour has passed.\n")
        return _tagged(request, entry, lambda: (png, "image/png"))

    return answer


def _objects(watch: Watch) -> Handler:
    async def answer(request: web.Request) -> web.Response:
        entry, png = await _asked(watch.objects(_stream_of(request), _entry_of(request)))
        if not png:
            raise web.HTTPNotFound(text="Nothing was outlined in this frame.\n")
        return _tagged(request, entry, lambda: (png, "image/png"))

    return answer


def _frame(watch: Watch) -> Handler:
    async def answer(request: web.Request) -> web.Response:
        stream, identity = _stream_of(request), _identity_of(request)
        picture = await _asked(watch.frame(stream, *identity))
        if picture is None:
            raise web.HTTPNotFound(text="No picture: what cameras film stays with them; only a demo has it.\n")
        return _tagged(request, f"{identity[0]}-{identity[1]}", lambda: picture)

    return answer


async def _asked(work: Awaitable[T]) -> T:
    try:
        return await work
    except ServiceError as error:
        raise web.HTTPServiceUnavailable(text=f"{error}\n") from None


def _tagged(
    request: web.Request, tag: str, body: Callable[[], tuple[bytes, str]], charset: str | None = None
) -> web.Response:
    """The body with its ETag, or 304 to who has it."""
    headers = {"ETag": f'"{tag}"', "Cache-Control": "private, no-cache"}
    if any(each.value == tag for each in request.if_none_match or ()):
        return web.Response(status=304, headers=headers)
    content, kind = body()
    return web.Response(body=content, content_type=kind, charset=charset, headers=headers)


def _stream_of(request: web.Request) -> str:
    try:
        return check_stream_id(request.match_info["stream"])
    except StreamIdInvalid as error:
        raise web.HTTPBadRequest(text=f"{error}\n") from None


def _entry_of(request: web.Request) -> str:
    entry = request.query.get("at", "")
    if entry and not _ENTRY_ID.fullmatch(entry):
        raise web.HTTPBadRequest(text="at is the entry id of a mask\n")
    return entry


def _identity_of(request: web.Request) -> tuple[int, int]:
    try:
        return int(request.query["epoch"]), int(request.query["sequence"])
    except (KeyError, ValueError):
        raise web.HTTPBadRequest(text="epoch and sequence are whole numbers\n") from None
