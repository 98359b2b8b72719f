"""The page's guard, for aiohttp."""

from __future__ import annotations

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from narrows.runtime.http import token_needed
from narrows.runtime.page import COOKIE, ENTER, PAGE_HEADERS, PageGuard, Presented


class Guard(PageGuard):
    """Turns strangers away, and refuses changes that no operator asked for."""

    def is_operator(self, request: web.Request) -> bool:
        """Whether a request comes from an operator."""
        return self.knows_operator(_presented(request))

    def check_change(self, request: web.Request) -> None:
        """Refuse a change that no operator asked for, or that another site had an operator's browser ask for.

        Raises:
            HTTPForbidden: either.
        """
        refusal = self.refusal(_presented(request), "start the page with --operator-token")
        if refusal is not None:
            raise web.HTTPForbidden(text=f"{refusal}\n")

    def check_operator(self, request: web.Request) -> None:
        """Refuse what operators alone may see.

        Raises:
            HTTPForbidden: no operator asks.
        """
        if not self.is_operator(request):
            raise web.HTTPForbidden(text="Only an operator may see a still: enter the operator's token at /enter.\n")

    def middleware(self) -> Middleware:
        """Turns strangers away, and says on every answer what the browser may load."""

        @web.middleware
        async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
            try:
                let_in = self.lets_in(_presented(request), request.path)
                response = await (handler if let_in else self._turn_away)(request)
            except web.HTTPException as error:
                error.headers.update(PAGE_HEADERS)
                raise
            response.headers.update(PAGE_HEADERS)
            return response

        return guarded

    async def _turn_away(self, request: web.Request) -> web.StreamResponse:
        if self.open:
            raise web.HTTPForbidden(text="This page is served on this machine alone: ask for it as 127.0.0.1.\n")
        if request.path == "/" and request.method == "GET":
            raise web.HTTPSeeOther(ENTER)
        raise token_needed(", or enter it at /enter")


def _presented(request: web.Request) -> Presented:
    headers = request.headers
    return Presented(
        headers.get("Authorization", ""),
        request.cookies.get(COOKIE, ""),
        headers.get("Host", ""),
        headers.get("X-CSRF-Token", ""),
    )
