"""What scaling asks of an engine that runs servers: one small contract, with absolute targets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from narrows.contract.errors import ServiceError


class ActuationFailed(ServiceError):
    """The engine refused or did not answer; the target may or may not have been taken."""


class CapacityExhausted(ActuationFailed):
    """There is no free slot (GPU, MIG slice, CPU quota) for another server."""


class StaleLeader(ActuationFailed):
    """Someone with newer rights, or a newer version of the object, was there before: nothing was changed."""


@dataclass(frozen=True, slots=True)
class Observed:
    """What an engine has now.

    Attributes:
        wanted: the target that it was last given, by whomever.
        ready, starting, draining: servers by state.
        slots: servers that it can hold at most; ``None`` where it cannot tell.
        version: what :meth:`Replicas.scale` compares, where the engine can (a resourceVersion, a version index).
        servers: addresses (``host:port``, gRPC) of those that are ready or draining, where it knows them.
    """

    wanted: int
    ready: int
    starting: int = 0
    draining: int = 0
    slots: int | None = None
    version: str = ""
    servers: tuple[str, ...] = ()


class Replicas(Protocol):
    """An engine that can be told how many servers there shall be. Every call may be repeated."""

    name: str

    async def observe(self) -> Observed:
        """What there is.

        Raises:
            ActuationFailed: the engine does not answer.
        """
        ...

    async def scale(self, target: int, seen: Observed, token: int) -> None:
        """Have ``target`` servers. Who goes is drained first, by the engine's actuator; returns without waiting for it.

        Args:
            target: absolute.
            seen: the observation on which the target rests; refused if the engine changed since, where it can compare.
            token: the leader's fencing token.

        Raises:
            CapacityExhausted: there are not so many slots.
            StaleLeader: another leader, or somebody else, was there before.
            ActuationFailed: the engine refuses or does not answer.
        """
        ...

    async def close(self) -> None:
        """Let connections go; servers stay as they are."""
        ...


class Instances(Protocol):
    """What can change how many instances of the decoders run inside each server."""

    async def instances(self) -> int:
        """How many there are now: the least of all servers and bundles.

        Raises:
            ActuationFailed: a server does not answer.
        """
        ...

    async def set_instances(self, target: int) -> None:
        """Have so many in every server, for every bundle.

        Raises:
            ActuationFailed: a server refuses or does not answer; others may have changed.
        """
        ...
