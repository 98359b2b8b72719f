"""Where servers are to be found: the values of ``--triton``, parsed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from narrows.contract.errors import ServiceError
from orchestrator.discovery.address import Address

_NAMED, _REGISTERED = "dns:", "redis:"


@dataclass(frozen=True, slots=True)
class EndpointSource:
    """One place to look.

    Attributes:
        address: of a server, or a name behind which there may be several; ``None``: servers register in Redis.
        named: the name is asked again and again, and each of its addresses is a server.
    """

    address: Address | None
    named: bool = False


def parse_sources(values: Iterable[str]) -> tuple[EndpointSource, ...]:
    """Read values of ``--triton``: each is one of these, or several with commas between.

    ::

        10.0.0.7:8001        one server, by its address
        triton:8001          a name: every address that it resolves to is a server (compose, Kubernetes headless)
        dns:tasks.triton:8001    the same, said outright
        redis:               servers that registered themselves (`narrows supervise`)

    Raises:
        ServiceError: a value is none of these, or there is none.
    """
    texts = [text.strip() for value in values for text in value.split(",") if text.strip()]
    if not texts:
        raise ServiceError("--triton names no server: write HOST:PORT, dns:NAME:PORT or redis:")
    return tuple(dict.fromkeys(_source(text) for text in texts))


def _source(text: str) -> EndpointSource:
    if text == _REGISTERED:
        return EndpointSource(None)
    if text.startswith(_REGISTERED):
        raise ServiceError(f"--triton {text!r}: nothing stands behind 'redis:'; the server is that of --redis-url")
    address = Address.parse(text.removeprefix(_NAMED))
    return EndpointSource(address, named=not address.numeric)
