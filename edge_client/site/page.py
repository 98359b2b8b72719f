"""What the site's page answers. Its parts are the cloud page's: guard, looks, and how things are pointed at."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs

from edge_client.http_server import Asked
from edge_client.site.prompts import SitePrompts, source_of
from edge_client.site.stills import SiteStills
from edge_client.site.view import SiteView, Snapshot
from narrows.contract.errors import PromptConflict, PromptInvalid, RecordError
from narrows.contract.json_text import decode_object
from narrows.contract.records.prompts import NO_ROOM, PromptAnswers, PromptState
from narrows.runtime.exposure import Reply, unauthorized
from narrows.runtime.page import COOKIE_AGE_S, ENTER, PAGE_HEADERS, PageGuard, Presented, shared_files, static_files
from narrows.runtime.page.prompts import MOST_PROMPT_BYTES, prompt_json, prompt_of, whole_number

_TEXT, _JSON = "text/plain; charset=utf-8", "application/json; charset=utf-8"
_FORM = "application/x-www-form-urlencoded"
_WRONG_TOKEN_S = 0.5
_PAGE = "site.html"
_NEVER_KEPT = (("Cache-Control", "no-store"),)
_EVERY = tuple(PAGE_HEADERS.items())


class SitePage:
    """One camera's. :meth:`answer` is called in a thread for each connection."""

    def __init__(
        self,
        stream: str,
        token: str,
        prompts: SitePrompts,
        view: SiteView,
        answers: Callable[[], PromptAnswers],
        stills: SiteStills | None = None,
    ) -> None:
        """``token``: who knows it may look and point; ``answers``: what became of prompts; ``stills``: what leaves."""
        self._stills = stills or SiteStills(0)
        self._stream, self._prompts, self._view, self._answers = stream, prompts, view, answers
        self._guard = PageGuard(token, token)
        self._files = shared_files() | static_files(files(__package__).joinpath("static"))
        self._cookie = f"narrows_site_{stream}"  # cameras behind one address differ by their ports, cookies do not

    def answer(self, asked: Asked) -> Reply:
        """The answer to a request, whatever it is."""
        reply = self._routed(asked, self._presented(asked))
        return reply._replace(headers=(*reply.headers, *_EVERY))

    def _routed(self, asked: Asked, presented: Presented) -> Reply:
        path, prompts = asked.path, f"/api/streams/{self._stream}/prompts"
        if path == ENTER:
            return self._enter(asked) if asked.method == "POST" else self._file("enter.html")
        if not self._guard.lets_in(presented, path):
            return _see(ENTER) if (asked.method, path) == ("GET", "/") else unauthorized(", or enter it at /enter")
        if path == prompts or path.startswith(f"{prompts}/"):
            return self._pointed(asked, presented)
        if asked.method != "GET":
            return _said(HTTPStatus.METHOD_NOT_ALLOWED, "Prompts alone can be changed.")
        return self._shown(asked)

    def _shown(self, asked: Asked) -> Reply:
        match asked.path:
            case "/api/site":
                return _json(self._seen())
            case "/api/site/picture":
                return _picture(self._snapshot(asked), "image/jpeg", lambda found: found.picture)
            case "/api/site/outlines":
                return _picture(self._snapshot(asked), "image/png", lambda found: found.outlines)
            case "/":
                return self._file(_PAGE)
        return self._file(asked.path.removeprefix("/static/"))

    def _presented(self, asked: Asked) -> Presented:
        try:
            held = SimpleCookie(asked.header("Cookie")).get(self._cookie)
        except CookieError:
            held = None
        return Presented(
            asked.header("Authorization"),
            "" if held is None else held.value,
            asked.header("Host"),
            asked.header("X-CSRF-Token"),
        )

    def _enter(self, asked: Asked) -> Reply:
        if asked.header("Content-Type").partition(";")[0].strip() != _FORM:
            return _said(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"Send the token as {_FORM}.")
        given = parse_qs(asked.body.decode("utf-8", "replace")).get("token", [""])[0]
        cookie = self._guard.cookie_of(given.strip())
        if cookie is None:
            time.sleep(_WRONG_TOKEN_S)  # a guesser waits, and holds nobody up but itself
            return _see(f"{ENTER}#wrong")
        kept = f"{self._cookie}={cookie}; Path=/; Max-Age={COOKIE_AGE_S}; HttpOnly; SameSite=Strict"
        return _see("/", ("Set-Cookie", kept))

    def _seen(self) -> dict[str, Any]:
        found = self._view.newest()
        picture = found and {
            "number": found.number,
            "width": found.width,
            "height": found.height,
            "capture_ms": found.capture_ms,
            "objects": found.objects,
        }
        return {"stream": self._stream, "picture": picture, "stills": self._stills.to_tell()}

    def _snapshot(self, asked: Asked) -> Snapshot | None:
        number = asked.query.get("at", "")
        return self._view.at(int(number)) if number.isascii() and number.isdigit() and len(number) < 20 else None

    def _file(self, name: str) -> Reply:
        file = self._files.get(name)
        if file is None:
            return _said(HTTPStatus.NOT_FOUND, "There is no such page.")
        return Reply(HTTPStatus.OK, f"{file.kind}; charset=utf-8", file.body, (("Cache-Control", "no-cache"),))

    def _pointed(self, asked: Asked, presented: Presented) -> Reply:
        if asked.method != "GET" and (refusal := self._guard.refusal(presented, "")) is not None:
            return _said(HTTPStatus.FORBIDDEN, refusal)
        try:
            match asked.method:
                case "POST":
                    return self._add(asked)
                case "DELETE":
                    version = whole_number(asked.query.get("if_version"), "if_version")
                    number = whole_number(asked.path.rpartition("/")[2], "a prompt")
                    self._prompts.remove(number, who=asked.peer, if_version=version)
        except PromptConflict as error:
            return _said(HTTPStatus.CONFLICT, str(error))
        except PromptInvalid as error:
            return _said(HTTPStatus.UNPROCESSABLE_ENTITY, str(error))
        return _json(self._listed())

    def _add(self, asked: Asked) -> Reply:
        if asked.header("Content-Type").partition(";")[0].strip() != "application/json":
            return _said(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Send the prompt as application/json.")  # no form does
        try:
            given = decode_object(asked.body, what="a prompt", most_bytes=MOST_PROMPT_BYTES)
        except RecordError as error:
            return _said(HTTPStatus.BAD_REQUEST, str(error))
        source, replaced = source_of(self._answers()), given.get("replaces")
        made = self._prompts.add(
            prompt_of(given, *source),
            source,
            who=asked.peer,
            if_version=whole_number(given.get("if_version"), "if_version"),
            replaced=None if replaced is None else whole_number(replaced, "replaces"),
        )
        return _json(self._listed() | {"made": made.id})

    def _listed(self) -> dict[str, Any]:
        answers, now_ms, found = self._answers(), self._prompts.now_ms(), self._prompts.look()
        known = {(each.id, each.version): each for each in answers.prompts}
        rows = []
        for prompt in found.prompts:
            answer = known.get((prompt.id, prompt.version))
            state = PromptState.WAITING.value if prompt in found.looked_for else NO_ROOM
            state = state if answer is None else answer.state
            rows.append(prompt_json(prompt, state, 0.0 if answer is None else answer.frames_per_s, now_ms))
        source = [answers.width, answers.height] if answers.width else None
        return {"version": found.version, "source": source, "prompts": rows, "csrf": self._guard.csrf}


def _picture(found: Snapshot | None, kind: str, data: Callable[[Snapshot], bytes]) -> Reply:
    body = b"" if found is None else data(found)
    if not body:
        return _said(HTTPStatus.NOT_FOUND, "That frame is gone, or has none: ask for /api/site first.")
    return Reply(HTTPStatus.OK, kind, body, _NEVER_KEPT)


def _json(value: Mapping[str, Any]) -> Reply:
    return Reply(HTTPStatus.OK, _JSON, json.dumps(value).encode(), _NEVER_KEPT)


def _said(status: HTTPStatus, words: str) -> Reply:
    return Reply(status, _TEXT, f"{words}\n".encode())


def _see(place: str, *headers: tuple[str, str]) -> Reply:
    return Reply(HTTPStatus.SEE_OTHER, _TEXT, b"", (("Location", place), *headers))
