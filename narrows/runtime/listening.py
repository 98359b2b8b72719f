"""What every port of ours keeps to, the camera's and the cloud's: who is let in, how long, and how many at once."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import resource
from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import dataclass

from narrows.contract.errors import ServiceError

SHORTEST_TOKEN = 16
HTTP_OPTION, TOKEN_OPTION = "--http", "--http-token or NARROWS_HTTP_TOKEN"
_CONNECTIONS = 256
_SHARE_OF_DESCRIPTORS = 4

HEADERS = {
    "Server": "narrows",
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
"""On every answer, errors included; an answer with a header of that name keeps its own."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one port grants.

    Attributes:
        connections: at once; a further one takes the place of another, see :func:`to_give_up`.
        request_s: from the first byte of a request to its last, and from a connection to its first request's end.
        answer_s: in which an answer must be taken.
        idle_s: between two requests of a connection; longer than Prometheus's pause between scrapes.
    """

    connections: int = _CONNECTIONS
    request_s: float = 10.0
    answer_s: float = 30.0
    idle_s: float = 75.0


def limits() -> Limits:
    """Those of a process: a port takes at most a quarter of the file descriptors."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return Limits(_CONNECTIONS if soft == resource.RLIM_INFINITY else min(_CONNECTIONS, soft // _SHARE_OF_DESCRIPTORS))


@dataclass(frozen=True, slots=True)
class Held:
    """A connection: whose, and whether a whole request of it is being worked on."""

    peer: Hashable
    working: bool


def to_give_up(held: Iterable[Held]) -> int:
    """Which of the connections, oldest first, makes room for a new one: of the peer with most, the oldest that waits.

    So whoever opens many loses its own, and a probe from elsewhere gets in. One that is being worked on goes last.

    Raises:
        ValueError: there is none.
    """
    connections = list(held)
    most = Counter(each.peer for each in connections)
    return min(range(len(connections)), key=lambda i: (-most[connections[i].peer], connections[i].working, i))


def parse_address(address: str, option: str = "address") -> tuple[str, int]:
    """``HOST:PORT``, an IPv6 host in brackets.

    Raises:
        ServiceError: it is not of that form.
    """
    bracketed, _, port = address.rpartition(":")
    host = bracketed.strip("[]")
    if host and port.isascii() and port.isdigit() and len(port) <= 5 and int(port) < 65536:
        return host, int(port)
    raise ServiceError(f"{option} {address!r}: HOST:PORT is expected, such as 127.0.0.1:9464")


def check_exposure(address: str, token: str | None, option: str, token_option: str) -> None:
    """Refuse what would let strangers in; the same rule and words for every port.

    Args:
        address: ``HOST:PORT``.
        token: what a visitor has to know.
        option: what gives the address, for the message.
        token_option: what gives the token, for the message.

    Raises:
        ServiceError: no ``HOST:PORT``; another address than loopback without a token; a token that can be guessed.
    """
    host, _ = parse_address(address, option)
    if token is None and not is_loopback(host):
        raise ServiceError(
            f"{option} {address} is open to others, so a token is needed: give {token_option} (at least "
            f"{SHORTEST_TOKEN} characters, for example from `openssl rand -hex 16`), or listen on 127.0.0.1"
        )
    if token is not None and len(token) < SHORTEST_TOKEN:
        raise ServiceError(
            f"{token_option} has {len(token)} characters and can be guessed: take at least {SHORTEST_TOKEN}, "
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


def brings(authorization: str, token: str | None) -> bool:
    """Whether ``Authorization`` is ``Bearer TOKEN``, in a time that does not tell how nearly; without a token, yes."""
    if token is None:
        return True
    scheme, _, given = authorization.partition(" ")
    return scheme.lower() == "bearer" and same(given.strip(), token)


def same(given: str, secret: str) -> bool:
    """Whether two texts are the same, in a time that does not tell how much of them is; odd bytes are only wrong."""
    return hmac.compare_digest(_digest(given), _digest(secret))


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode(errors="surrogateescape")).digest()
