"""A replica as ``GET /containers/json`` lists it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.containers.clone import number_of
from orchestrator.discovery.address import Address


@dataclass(frozen=True, slots=True)
class Container:
    """One replica of a service.

    Attributes:
        id: 64 hex digits.
        number: compose's container number.
        running: it occupies a slot; also while it restarts or is paused.
        ready: it runs, and is healthy if it has a health check. An unhealthy one is not ready.
        addresses: ``host:port`` of each of its networks, the preferred one first; none while it does not run.
    """

    id: str
    number: int
    running: bool
    ready: bool
    addresses: tuple[str, ...] = ()

    @classmethod
    def of(cls, listed: Mapping[str, Any], port: int, network: str) -> Container:
        """Read one entry of the list; ``network`` is the preferred one."""
        state, status = listed["State"], listed["Status"]
        healthy = not any(f"({each})" in status for each in ("unhealthy", "health: starting"))
        networks = (listed.get("NetworkSettings") or {}).get("Networks") or {}
        ordered = sorted(networks.items(), key=lambda each: (each[0] != network, each[0]))
        hosts = [each.get("IPAddress") or each.get("GlobalIPv6Address") for _, each in ordered]
        return cls(
            id=listed["Id"],
            number=number_of(listed["Labels"]),
            running=state in ("running", "restarting", "paused"),
            ready=state == "running" and healthy,
            addresses=tuple(str(Address(host, port)) for host in hosts if host),
        )
