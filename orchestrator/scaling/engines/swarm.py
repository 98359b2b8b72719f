"""A Swarm service: its number of replicas is changed, under the version that was seen.

What is drained, and what is not. Swarm chooses the task that goes, so none can be emptied beforehand. The one that goes
leaves ``tasks.NAME`` and gets SIGTERM; Triton then finishes what it has (`--exit-timeout-secs`, within the service's
``stop_grace_period``) and takes nothing new. What a dispatcher sends meanwhile is refused and tried again at another
server: that costs retries, no frame. Dispatchers find servers as ``dns:tasks.NAME:8001``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from narrows.runtime.redis.store import Store
from orchestrator.discovery.address import Address
from orchestrator.scaling.engines.docker_engine import DEFAULT_DOCKER_URL, DockerEngine, Refused
from orchestrator.scaling.engines.draining import Draining
from orchestrator.scaling.engines.slots import LearnedSlots
from orchestrator.scaling.replicas import ActuationFailed, Observed, StaleLeader

Task = Mapping[str, Any]  # as GET /tasks lists it
_STALE = "out of sequence"
_NO_PLACE = "no suitable node"


class SwarmService:
    """The replicas of one service in ``replicated`` mode."""

    name = "swarm"

    def __init__(
        self,
        service: str,
        store: Store,
        *,
        docker_url: str = DEFAULT_DOCKER_URL,
        docker_token: str | None = None,
        port: int = 8001,
    ) -> None:
        """Scale ``service``, named with its stack: ``narrows_triton``.

        Args:
            service: as Swarm names it.
            store: the Redis that knows the last leader.
            docker_url: the socket of a manager, or the proxy before it (`narrows engine-proxy`).
            docker_token: what that proxy asks for.
            port: of gRPC, in each task.
        """
        self._service, self._port = service, port
        self._engine = DockerEngine(docker_url, docker_token)
        self._leaders = Draining(store)
        self._slots = LearnedSlots()

    async def observe(self) -> Observed:
        """See :meth:`.Replicas.observe`. A task that finds no node says how many there are slots for."""
        service = await self._engine.ask("inspect_service", self._service)
        tasks = await self._engine.ask("tasks", filters={"service": [self._service]})
        meant = [each for each in tasks if each["DesiredState"] == "running"]
        ready = [each for each in meant if _state(each) == "running"]
        homeless = [each for each in meant if _NO_PLACE in each["Status"].get("Err", "")]
        leaving = [each for each in tasks if each["DesiredState"] != "running" and _state(each) == "running"]
        return Observed(
            wanted=_replicas(service["Spec"], self._service),
            ready=len(ready),
            starting=len(meant) - len(ready) - len(homeless),
            draining=len(leaving),
            slots=self._slots.note(len(meant) - len(homeless), len(homeless)),
            version=str(service["Version"]["Index"]),
            servers=tuple(address for each in [*ready, *leaving] for address in _addresses(each, self._port)[:1]),
        )

    async def scale(self, target: int, seen: Observed, token: int) -> None:
        """See :meth:`.Replicas.scale`. The engine refuses a version that is not the last."""
        await self._leaders.check(token)
        self._slots.check(target, seen.wanted)
        service = await self._engine.ask("inspect_service", self._service)
        if _replicas(service["Spec"], self._service) == target:
            return
        version = int(seen.version) if seen.version.isdecimal() else -1
        if service["Version"]["Index"] != version:
            raise StaleLeader(f"service {self._service} was changed since version {seen.version}: nothing was changed")
        try:
            await self._engine.ask("update_service", self._service, version, **scaled(service["Spec"], target))
        except Refused as error:
            if _STALE in str(error):
                raise StaleLeader(f"service {self._service} was changed since version {version}") from None
            raise

    async def close(self) -> None:
        """See :meth:`.Replicas.close`."""
        await self._engine.close()


def scaled(spec: Mapping[str, Any], target: int) -> dict[str, Any]:
    """The arguments of the SDK's ``update_service`` that change the number of replicas alone."""
    return {
        "name": spec["Name"],
        "labels": spec.get("Labels"),
        "task_template": spec["TaskTemplate"],
        "mode": {"Replicated": {"Replicas": target}},
        "update_config": spec.get("UpdateConfig"),
        "rollback_config": spec.get("RollbackConfig"),
        "endpoint_spec": spec.get("EndpointSpec"),
    }


def _replicas(spec: Mapping[str, Any], service: str) -> int:
    replicated = spec["Mode"].get("Replicated")
    if replicated is None:
        raise ActuationFailed(f"service {service} is not in mode 'replicated': deploy it with `mode: replicated`")
    return int(replicated.get("Replicas", 0))


def _state(task: Task) -> str:
    state: str = task["Status"]["State"]
    return state


def _addresses(task: Task, port: int) -> list[str]:
    """Of the networks that ``tasks.NAME`` answers with: not those of the routing mesh."""
    networks = [each for each in task.get("NetworksAttachments") or [] if not each["Network"]["Spec"].get("Ingress")]
    hosts = [address.partition("/")[0] for each in networks for address in each.get("Addresses") or []]
    return [str(Address(host, port)) for host in hosts]
