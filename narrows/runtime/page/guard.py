"""Who may see a page, and what a browser may do with it."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

from narrows.contract.errors import ServiceError
from narrows.runtime.listening import brings, is_loopback, parse_address, same

COOKIE = "narrows_page"
ENTER = "/enter"
COOKIE_AGE_S = 31_536_000
OPEN_PATHS = (ENTER, "/static/page.css", "/static/icon.svg")
PAGE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
}


@dataclass(frozen=True, slots=True)
class Presented:
    """What a request brings to be let in: header values, empty where it has none, and the cookie's."""

    authorization: str = ""
    cookie: str = ""
    host: str = ""
    csrf: str = ""


class PageGuard:
    """Lets in who knows the token; without one, whoever is on this machine and asked for this machine by its name.

    Who knows the operator's token may change prompts too; without one nobody may. The cookie is no copy of a token: it
    holds a keyed hash.
    """

    def __init__(self, token: str | None, operator_token: str | None = None) -> None:
        self._token, self._operator_token = token, operator_token

    @property
    def open(self) -> bool:
        """Whether no token is needed."""
        return self._token is None

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

    def knows_operator(self, presented: Presented) -> bool:
        """Whether a request comes from an operator."""
        return self._brings_operator_token(presented) or (
            self.prompting and same(presented.cookie, self._operator_cookie)
        )

    def refusal(self, presented: Presented, start_with: str) -> str | None:
        """Why a change is refused that no operator asked for, or that another site had an operator's browser ask for.

        ``start_with``: how to have operators, for the message.
        """
        if not self.knows_operator(presented):
            remedy = "enter the operator's token at /enter" if self.prompting else start_with
            return f"Only an operator may point at things: {remedy}."
        if self._brings_operator_token(presented) or same(presented.csrf, self.csrf):
            return None  # no browser adds the token by itself
        return "The change lacks this page's X-CSRF-Token: load the page again."

    def lets_in(self, presented: Presented, path: str) -> bool:
        """Whether a request for a path may be answered."""
        if self._token is None:
            return _asks_for_loopback(presented.host)  # a name that was re-bound to us is turned away
        return (
            path in OPEN_PATHS
            or brings(presented.authorization, self._token)
            or same(presented.cookie, self._visitor_cookie)
            or self.knows_operator(presented)
        )

    @property
    def _visitor_cookie(self) -> str:
        return _keyed(self._token, b"narrows page visitor")

    @property
    def _operator_cookie(self) -> str:
        return _keyed(self._operator_token, b"narrows page operator")

    def _brings_operator_token(self, presented: Presented) -> bool:
        token = self._operator_token
        return token is not None and brings(presented.authorization, token)


def _keyed(token: str | None, what: bytes) -> str:
    return hmac.new((token or "").encode(), what, hashlib.sha256).hexdigest()


def _is(given: str, token: str | None) -> bool:
    return token is not None and same(given, token)


def _asks_for_loopback(host: str) -> bool:
    try:
        return is_loopback(parse_address(host)[0])
    except ServiceError:
        return is_loopback(host.strip("[]"))  # without a port
