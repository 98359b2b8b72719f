"""What the page answers about prompts: to all who may see the page the list, to operators alone changes and stills."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from aiohttp import web

from narrows.contract.errors import (
    NarrowsError,
    PromptConflict,
    PromptInvalid,
    RecordError,
    StillRefused,
    StreamIdInvalid,
)
from narrows.contract.json_text import decode_object
from narrows.contract.wire.keys import check_stream_id
from narrows.runtime.page.prompts import MOST_PROMPT_BYTES, whole_number
from orchestrator.page.guard import Guard
from orchestrator.page.prompting import WHO, Prompting

_PROMPTS, _STILL = "/api/streams/{stream}/prompts", "/api/streams/{stream}/still"
_NEVER_KEPT = {"Cache-Control": "no-store"}
T = TypeVar("T")


def add_prompt_routes(app: web.Application, prompting: Prompting, guard: Guard) -> None:
    """Their routes."""

    async def listed(request: web.Request, work: Callable[[], dict[str, Any]]) -> web.Response:
        found = await _done(prompting, work)
        found["csrf"] = guard.csrf if guard.is_operator(request) else None
        return web.json_response(found, headers=_NEVER_KEPT)

    async def look(request: web.Request) -> web.Response:
        return await listed(request, partial(prompting.look, _stream_of(request)))

    async def add(request: web.Request) -> web.Response:
        guard.check_change(request)
        stream = _stream_of(request)
        if request.content_type != "application/json":  # what a form of another site can send is refused
            raise web.HTTPUnsupportedMediaType(text="Send the prompt as application/json.\n")
        try:
            asked = decode_object(await request.read(), what="a prompt", most_bytes=MOST_PROMPT_BYTES)
        except RecordError as error:
            raise web.HTTPBadRequest(text=f"{error}\n") from None
        return await listed(request, partial(prompting.add, stream, asked, _who(request)))

    async def remove(request: web.Request) -> web.Response:
        guard.check_change(request)
        number, version = int(request.match_info["prompt"]), request.query.get("if_version")
        return await listed(request, partial(prompting.remove, _stream_of(request), number, version, _who(request)))

    app.add_routes([web.get(_PROMPTS, look), web.post(_PROMPTS, add)])
    app.add_routes([web.delete(_PROMPTS + r"/{prompt:\d{1,5}}", remove)])


def add_still_routes(app: web.Application, prompting: Prompting, guard: Guard) -> None:
    """Those of still pictures, which operators alone ask for and see."""

    async def ask(request: web.Request) -> web.Response:
        guard.check_change(request)
        found = await _done(prompting, partial(prompting.ask_still, _stream_of(request), _who(request)))
        return web.json_response(found, headers=_NEVER_KEPT)

    async def look(request: web.Request) -> web.Response:
        guard.check_operator(request)
        found = await _done(prompting, partial(prompting.look_still, _stream_of(request), _asked_of(request)))
        return web.json_response(found, headers=_NEVER_KEPT)

    async def picture(request: web.Request) -> web.Response:
        guard.check_operator(request)
        work = partial(prompting.still, _stream_of(request), _asked_of(request), _who(request))
        return web.Response(body=await _done(prompting, work), content_type="image/jpeg", headers=_NEVER_KEPT)

    app.add_routes([web.post(_STILL, ask), web.get(_STILL, look), web.get(f"{_STILL}.jpg", picture)])


async def _done(prompting: Prompting, work: Callable[[], T]) -> T:
    try:
        return await prompting.run(work)
    except PromptConflict as error:
        raise web.HTTPConflict(text=f"{error}\n") from None
    except PromptInvalid as error:
        raise web.HTTPUnprocessableEntity(text=f"{error}\n") from None
    except StillRefused as error:
        raise web.HTTPForbidden(text=f"{error}\n") from None
    except NarrowsError as error:
        raise web.HTTPServiceUnavailable(text=f"{error}\n") from None


def _who(request: web.Request) -> str:
    return f"{WHO} at {request.remote or 'an unknown address'}"


def _asked_of(request: web.Request) -> int:
    try:
        return whole_number(request.query.get("asked"), "asked")
    except PromptInvalid as error:
        raise web.HTTPBadRequest(text=f"{error}\n") from None


def _stream_of(request: web.Request) -> str:
    try:
        return check_stream_id(request.match_info["stream"])
    except StreamIdInvalid as error:
        raise web.HTTPBadRequest(text=f"{error}\n") from None
