"""From a name to the addresses behind it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

from orchestrator.discovery.address import Address

Resolve = Callable[[Address], Awaitable[frozenset[str]]]


async def resolve(name: Address) -> frozenset[str]:
    """Every address behind a name, ``host:port``. IPv6 ones only if there is no other: both lead to the same server.

    Raises:
        OSError: there is none, or nobody answers.
    """
    found = await asyncio.get_running_loop().getaddrinfo(name.host, name.port, type=socket.SOCK_STREAM)
    families = {family for family, *_ in found}
    wanted = socket.AF_INET if socket.AF_INET in families else socket.AF_INET6
    return frozenset(str(Address(str(at[0]), name.port)) for family, *_, at in found if family == wanted)
