"""What the page answers about prompts: to all who may see the page the list, to operators alone its changes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from aiohttp import web

from narrows.contract.errors import NarrowsError, PromptConflict, PromptInvalid, RecordError, StreamIdInvalid
from narrows.contract.json_text import decode_object
from narrows.contract.wire.keys import check_stream_id
from narrows.runtime.page.prompts import MOST_PROMPT_BYTES
from orchestrator.page.guard import Guard
from orchestrator.page.prompting import Prompting

_PROMPTS = "/api/streams/{stream}/prompts"


def add_prompt_routes(app: web.Application, prompting: Prompting, guard: Guard) -> None:
    """Their routes."""

    async def look(request: web.Request) -> web.Response:
        return await _answer(guard, request, prompting, partial(prompting.look, _stream_of(request)))

    async def add(request: web.Request) -> web.Response:
        guard.check_change(request)
        stream = _stream_of(request)
        if request.content_type != "application/json":  # what a form of another site can send is refused
            raise web.HTTPUnsupportedMediaType(text="Send the prompt as application/json.\n")
        try:
            asked = decode_object(await request.read(), what="a prompt", most_bytes=MOST_PROMPT_BYTES)
        except RecordError as error:
            raise web.HTTPBadRequest(text=f"{error}\n") from None
        return await _answer(guard, request, prompting, partial(prompting.add, stream, asked))

    async def remove(request: web.Request) -> web.Response:
        guard.check_change(request)
        number, version = int(request.match_info["prompt"]), request.query.get("if_version")
        work = partial(prompting.remove, _stream_of(request), number, version)
        return await _answer(guard, request, prompting, work)

    app.add_routes([web.get(_PROMPTS, look), web.post(_PROMPTS, add)])
    app.add_routes([web.delete(_PROMPTS + r"/{prompt:\d{1,5}}", remove)])


async def _answer(
    guard: Guard, request: web.Request, prompting: Prompting, work: Callable[[], dict[str, Any]]
) -> web.Response:
    try:
        found = await prompting.run(work)
    except PromptConflict as error:
        raise web.HTTPConflict(text=f"{error}\n") from None
    except PromptInvalid as error:
        raise web.HTTPUnprocessableEntity(text=f"{error}\n") from None
    except NarrowsError as error:
        raise web.HTTPServiceUnavailable(text=f"{error}\n") from None
    found["csrf"] = guard.csrf if guard.is_operator(request) else None
    return web.json_response(found, headers={"Cache-Control": "no-store"})


def _stream_of(request: web.Request) -> str:
    try:
        return check_stream_id(request.match_info["stream"])
    except StreamIdInvalid as error:
        raise web.HTTPBadRequest(text=f"{error}\n") from None
