"""What the page is asked to show, and to whom."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path

from narrows.errors import ServiceError
from orchestrator.http import parse_address

SHORTEST_TOKEN = 16


@dataclass(frozen=True, slots=True)
class PageOptions:
    """The options of ``narrows page``.

    Attributes:
        redis_url: the install's Redis.
        orchestrators: ``http://HOST:PORT`` of each dispatcher.
        listen: ``HOST:PORT``; port 0 takes a free one.
        token: what a visitor must know; not needed on a loopback address.
        bundles: folders whose manifests name and colour the classes.
        frames_from: where a demo keeps what its cameras filmed; see :mod:`orchestrator.page.filmed`.
    """

    redis_url: str
    orchestrators: tuple[str, ...]
    listen: str = "127.0.0.1:8090"
    token: str | None = None
    bundles: tuple[Path, ...] = ()
    frames_from: Path | None = None
    log_level: str = "info"

    def check(self) -> None:
        """Refuse what would let strangers in, or could not work.

        Raises:
            ServiceError: another address than loopback without a token, a token that can be guessed, a wrong address.
        """
        host, _ = parse_address(self.listen)
        if self.token is None and not is_loopback(host):
            raise ServiceError(
                f"--listen {self.listen} is open to others, so a token is needed: set NARROWS_PAGE_TOKEN "
                f"(at least {SHORTEST_TOKEN} characters, for example from `openssl rand -hex 16`)"
            )
        if self.token is not None and len(self.token) < SHORTEST_TOKEN:
            raise ServiceError(
                f"a token of {len(self.token)} characters can be guessed: take at least {SHORTEST_TOKEN}, "
                "for example from `openssl rand -hex 16`"
            )
        for url in self.orchestrators:
            if not url.startswith(("http://", "https://")):
                raise ServiceError(f"--orchestrator {url!r}: http://HOST:PORT is expected, as in `orchestrate --http`")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach that host name or address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
