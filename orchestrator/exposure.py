"""What listens beyond this machine asks for a token."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress

from aiohttp import web

from narrows.errors import ServiceError

SHORTEST_TOKEN = 16


class Bearer:
    """Knows the requests that bring the token; without one, every request."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    def admits(self, request: web.Request) -> bool:
        """Whether a request brings ``Authorization: Bearer TOKEN``; takes as long for a wrong one."""
        if self._token is None:
            return True
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        return scheme.lower() == "bearer" and same(given.strip(), self._token)


def same(given: str, secret: str) -> bool:
    """Whether two texts are the same, in a time that does not tell how much of them is."""
    return hmac.compare_digest(_digest(given), _digest(secret))


def check_token(token: str | None, variable: str, address: str, host: str) -> None:
    """Refuse what would let strangers in.

    Raises:
        ServiceError: another address than loopback without a token, or a token that can be guessed.
    """
    if token is None and not is_loopback(host):
        raise ServiceError(
            f"{address} is open to others, so a token is needed: set {variable} "
            f"(at least {SHORTEST_TOKEN} characters, for example from `openssl rand -hex 16`)"
        )
    if token is not None and len(token) < SHORTEST_TOKEN:
        raise ServiceError(
            f"a token of {len(token)} characters can be guessed: take at least {SHORTEST_TOKEN}, "
            "for example from `openssl rand -hex 16`"
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach that host name or address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def bearer_headers(token: str | None) -> dict[str, str]:
    """What a request brings where a token is needed."""
    return {} if token is None else {"Authorization": f"Bearer {token}"}


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
