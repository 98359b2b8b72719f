"""What servers that registered themselves say in Redis."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from narrows.contract.errors import RecordError, ServiceError
from narrows.contract.wire.keys import ScaleKeys
from narrows.runtime.redis.store import Store
from orchestrator.discovery.address import Address
from orchestrator.discovery.record import ServerRecord


async def read_registered(store: Store) -> dict[str, ServerRecord]:
    """The records by address; one that cannot be read is left out.

    Raises:
        ServiceError: Redis is away, or refuses.
    """
    stored = await store.hash_of(ScaleKeys.SERVERS)
    records = [record for data in stored.values() if (record := _parsed(data)) is not None]
    return {record.address: record for record in records}


def metrics_addresses(servers: Iterable[str], registered: Mapping[str, ServerRecord], port: int) -> dict[str, str]:
    """Where each server's ``/metrics`` is: as registered, else on this port of its host; 0: others are not asked."""
    said = {server: registered[server].metrics for server in servers if server in registered}
    found = {server: said.get(server) or _usual(server, port) for server in servers}
    return {server: address for server, address in found.items() if address}


def _usual(server: str, port: int) -> str:
    try:
        return str(Address(Address.parse(server).host, port)) if port else ""
    except ServiceError:
        return ""


def _parsed(data: bytes) -> ServerRecord | None:
    try:
        return ServerRecord.parse(data)
    except RecordError:
        return None
