"""Where each server's ``/metrics`` is: as it was registered, else on the usual port of its host."""

from __future__ import annotations

from collections.abc import Iterable

from narrows.errors import RecordError, ServiceError
from narrows.wire.keys import ScaleKeys
from orchestrator.dispatch.store import Store
from orchestrator.replicas.address import Address
from orchestrator.replicas.record import ServerRecord


class MetricsAddresses:
    """Answers from the registered servers and one port for all others; port 0: the others are not asked."""

    def __init__(self, store: Store, port: int) -> None:
        self._store, self._port = store, port

    async def of(self, servers: Iterable[str]) -> dict[str, str]:
        """The address of each server's metrics, as far as there is one.

        Raises:
            ServiceError: Redis is away, or refuses.
        """
        registered = await self._registered()
        found = {server: registered.get(server) or self._usual(server) for server in servers}
        return {server: address for server, address in found.items() if address}

    async def _registered(self) -> dict[str, str]:
        stored = await self._store.hash_of(ScaleKeys.SERVERS)
        records = [record for data in stored.values() if (record := _parsed(data)) is not None]
        return {record.address: record.metrics for record in records}

    def _usual(self, server: str) -> str:
        try:
            return str(Address(Address.parse(server).host, self._port)) if self._port else ""
        except ServiceError:
            return ""


def _parsed(data: bytes) -> ServerRecord | None:
    try:
        return ServerRecord.parse(data)
    except RecordError:
        return None
