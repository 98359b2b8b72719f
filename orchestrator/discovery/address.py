"""The gRPC address of a server, ``host:port``; an IPv6 address stands in brackets."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from narrows.contract.errors import ServiceError

_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252}[A-Za-z0-9_.])?")
_PORT = re.compile(r"[1-9][0-9]{0,4}")
_LAST_PORT = 65535


@dataclass(frozen=True, slots=True)
class Address:
    """A host (a name, or a numeric address without brackets) and a port."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read ``host:port``.

        Raises:
            ServiceError: it is something else.
        """
        host, _, port = text.strip().rpartition(":")
        bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
        if not (_PORT.fullmatch(port) and int(port) <= _LAST_PORT):
            raise ServiceError(f"{text[:80]!r} is no address of a server: write HOST:PORT")
        if not (_is_ipv6(bare) if bare != host else _HOST.fullmatch(host)):
            raise ServiceError(f"{text[:80]!r} names no host: write HOST:PORT, an IPv6 address in brackets")
        return cls(bare, int(port))

    @property
    def numeric(self) -> bool:
        """Whether there is nothing to resolve."""
        try:
            ipaddress.ip_address(self.host)
        except ValueError:
            return False
        return True

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _is_ipv6(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).version == 6
    except ValueError:
        return False
