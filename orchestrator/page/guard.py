"""Who may see the page, and what a browser may do with it."""

from __future__ import annotations

import hashlib
import hmac

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from narrows.contract.errors import ServiceError
from narrows.runtime.http import token_needed
from narrows.runtime.listening import brings, is_loopback, parse_address, same

COOKIE = "narrows_page"
ENTER = "/enter"
_OPEN_PATHS = (ENTER, "/static/page.css", "/static/icon.svg")
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
}


class Guard:
    """Lets in who knows the token; without one, whoever is on this machine and asked for this machine by its name.

    The cookie is no copy of the token: it holds a keyed hash.
    """

    def __init__(self, token: str | None) -> None:
        self._token = token

    @property
    def cookie(self) -> str:
        """What the cookie of a visitor who was let in says."""
        return hmac.new((self._token or "").encode(), b"narrows page visitor", hashlib.sha256).hexdigest()

    def knows(self, token: str) -> bool:
        """Whether that is the token; takes as long for a wrong one."""
        return self._token is not None and same(token, self._token)

    def admits(self, request: web.Request) -> bool:
        """Whether a request may be answered."""
        if self._token is None:
            return _asks_for_loopback(request.headers.get("Host", ""))  # a name that was re-bound to us is turned away
        return brings(request.headers.get("Authorization", ""), self._token) or same(
            request.cookies.get(COOKIE, ""), self.cookie
        )

    def middleware(self) -> Middleware:
        """Turns strangers away, and says on every answer what the browser may load."""

        @web.middleware
        async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
            try:
                response = await (handler if self._may_pass(request) else self._turn_away)(request)
            except web.HTTPException as error:
                error.headers.update(_HEADERS)
                raise
            response.headers.update(_HEADERS)
            return response

        return guarded

    def _may_pass(self, request: web.Request) -> bool:
        return (self._token is not None and request.path in _OPEN_PATHS) or self.admits(request)

    async def _turn_away(self, request: web.Request) -> web.StreamResponse:
        if self._token is None:
            raise web.HTTPForbidden(text="This page is served on this machine alone: ask for it as 127.0.0.1.\n")
        if request.path == "/" and request.method == "GET":
            raise web.HTTPSeeOther(ENTER)
        raise token_needed(", or enter it at /enter")


def _asks_for_loopback(host: str) -> bool:
    try:
        return is_loopback(parse_address(host)[0])
    except ServiceError:
        return is_loopback(host.strip("[]"))  # without a port
