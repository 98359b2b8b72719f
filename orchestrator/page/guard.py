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

    Who knows the operator's token may change prompts too; without one nobody may. The cookie is no copy of a token: it
    holds a keyed hash.
    """

    def __init__(self, token: str | None, operator_token: str | None = None) -> None:
        self._token, self._operator_token = token, operator_token

    @property
    def prompting(self) -> bool:
        """Whether there are operators at all."""
        return self._operator_token is not None

    @property
    def csrf(self) -> str:
        """What an operator's page sends with each change: a page of another site cannot read it."""
        return _keyed(self._operator_token, b"narrows page change")

    def cookie_of(self, token: str) -> str | None:
        """The cookie for who knows that token, the operator's or the visitors'; takes as long for a wrong one."""
        visitor, operator = _is(token, self._token), _is(token, self._operator_token)
        if operator:
            return self._operator_cookie
        return self._visitor_cookie if visitor else None

    def is_operator(self, request: web.Request) -> bool:
        """Whether a request comes from an operator."""
        return self._brings_operator_token(request) or (
            self.prompting and same(request.cookies.get(COOKIE, ""), self._operator_cookie)
        )

    def check_change(self, request: web.Request) -> None:
        """Refuse a change that no operator asked for, or that another site had an operator's browser ask for.

        Raises:
            HTTPForbidden: either.
        """
        if not self.is_operator(request):
            remedy = (
                "enter the operator's token at /enter" if self.prompting else "start the page with --operator-token"
            )
            raise web.HTTPForbidden(text=f"Only an operator may point at things: {remedy}.\n")
        if self._brings_operator_token(request):
            return  # no browser adds that by itself
        if not same(request.headers.get("X-CSRF-Token", ""), self.csrf):
            raise web.HTTPForbidden(text="The change lacks this page's X-CSRF-Token: load the page again.\n")

    @property
    def _visitor_cookie(self) -> str:
        return _keyed(self._token, b"narrows page visitor")

    @property
    def _operator_cookie(self) -> str:
        return _keyed(self._operator_token, b"narrows page operator")

    def _brings_operator_token(self, request: web.Request) -> bool:
        token = self._operator_token
        return token is not None and brings(request.headers.get("Authorization", ""), token)

    def admits(self, request: web.Request) -> bool:
        """Whether a request may be answered."""
        if self._token is None:
            return _asks_for_loopback(request.headers.get("Host", ""))  # a name that was re-bound to us is turned away
        return (
            brings(request.headers.get("Authorization", ""), self._token)
            or same(request.cookies.get(COOKIE, ""), self._visitor_cookie)
            or self.is_operator(request)
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


def _keyed(token: str | None, what: bytes) -> str:
    return hmac.new((token or "").encode(), what, hashlib.sha256).hexdigest()


def _is(given: str, token: str | None) -> bool:
    return token is not None and same(given, token)


def _asks_for_loopback(host: str) -> bool:
    try:
        return is_loopback(parse_address(host)[0])
    except ServiceError:
        return is_loopback(host.strip("[]"))  # without a port
