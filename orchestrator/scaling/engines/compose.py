"""One service of a compose project, scaled by cloning and draining its containers.

::

    up     start a stopped replica, else clone one (clone.py), so that `compose ps` shows it like its own
    down   mark in Redis ─► dispatchers give it nothing ─► they have nothing there, or 30 s ─► stop ─► remove

Compose keeps no number of its own: what was asked for is what runs and is not being drained. At zero replicas the last
container stays, stopped, as the template of the next one (`docker compose ps --all` shows it; a plain
`docker compose up` starts it again, and resets the number to the file's).

The engine compares no versions. A stale leader is found by its token in Redis, before anything is changed and once more
before a container is stopped; what slips between lands once and is put right at the next interval.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress

import structlog

from narrows.contract.errors import ServiceError
from narrows.runtime.redis.store import Store
from orchestrator.containers.clone import (
    Inspected,
    creation_of,
    endpoint_of,
    gpus_of,
    label_filters,
    name_of,
    networks_of,
)
from orchestrator.scaling.engines.container import Container
from orchestrator.scaling.engines.docker_engine import DEFAULT_DOCKER_URL, ContainerGone, DockerEngine
from orchestrator.scaling.engines.draining import Draining
from orchestrator.scaling.replicas import ActuationFailed, CapacityExhausted, Observed

_LINGER_S = 3.0  # names are looked up every 2 s: so long a dispatcher may still know the address
_log = structlog.get_logger(__name__)


class ComposeService:
    """The replicas of one service."""

    name = "compose"

    def __init__(
        self,
        project: str,
        service: str,
        store: Store,
        *,
        docker_url: str = DEFAULT_DOCKER_URL,
        docker_token: str | None = None,
        port: int = 8001,
        network: str = "default",
        slots: int | None = None,
        gpus: Sequence[str] = (),
        drain_s: float = 30.0,
    ) -> None:
        """Scale ``service`` of ``project``.

        Args:
            project: as compose names it.
            service: of the compose file.
            store: the Redis in which servers are marked.
            docker_url: the engine's socket, or the proxy before it (`narrows engine-proxy`).
            docker_token: what that proxy asks for.
            port: of gRPC, in each container.
            network: of the compose file, on which servers are reached.
            slots: servers that the host can hold; the number of GPUs where they are given.
            gpus: ids or indexes of the GPUs, one to a server. A container of the compose file whose device is not
                given by id counts as the first.
            drain_s: how long a server may take to finish its work.
        """
        self._project, self._service, self._port = project, service, port
        self._network = f"{project}_{network}"
        self._gpus = tuple(gpus)
        self._slots = len(self._gpus) if self._gpus else slots
        self._engine = DockerEngine(docker_url, docker_token)
        self._draining = Draining(store, drain_s)
        self._changing = asyncio.Lock()
        self._removing = asyncio.Lock()
        self._retiring: dict[str, asyncio.Task[None]] = {}
        self._stopping: dict[str, asyncio.Task[None]] = {}
        self._unmarking: set[asyncio.Task[None]] = set()

    async def observe(self) -> Observed:
        """See :meth:`.Replicas.observe`."""
        running = [each for each in await self._containers() if each.running]
        marked = await self._draining.marked(_addresses(running))
        leaving = [each for each in running if each.id in self._stopping or marked.intersection(each.addresses)]
        staying = [each for each in running if each not in leaving]
        return Observed(
            wanted=len(staying),
            ready=sum(each.ready for each in staying),
            starting=sum(not each.ready for each in staying),
            draining=len(leaving),
            slots=self._slots,
            servers=tuple(each.addresses[0] for each in running if each.ready and each.addresses),
        )

    async def scale(self, target: int, seen: Observed, token: int) -> None:  # noqa: ARG002 - nothing to compare
        """See :meth:`.Replicas.scale`."""
        if self._slots is not None and target > self._slots:
            raise CapacityExhausted(f"{target} servers asked for; there are {self._slots} slots")
        async with self._changing:
            await self._draining.check(token)
            there = await self._containers()
            live = [each for each in there if each.running and each.id not in self._stopping]
            marked = await self._draining.marked(_addresses(live))
            going = sorted(live, key=lambda each: (marked.isdisjoint(each.addresses), each.ready, -each.number))
            going = going[: max(0, len(live) - target)]
            await self._call_back([each for each in live if each not in going], marked)
            for each in going:
                if each.id not in self._retiring:
                    begun_ms = await self._draining.mark(each.addresses, token)
                    self._retiring[each.id] = asyncio.create_task(self._retire(each, begun_ms, token))
            await asyncio.sleep(0)  # they have begun: whenever one is cancelled now, it cleans up
            if target > len(live):
                await self._add(target - len(live))

    async def close(self) -> None:
        """Let go: servers that were being emptied get work again; those that are being stopped are stopped."""
        retiring = list(self._retiring.values())
        for task in retiring:
            task.cancel()
        await asyncio.gather(*retiring, *self._stopping.values(), return_exceptions=True)
        for task in self._unmarking:
            task.cancel()
        await asyncio.gather(*self._unmarking, return_exceptions=True)
        await self._engine.close()

    async def _containers(self) -> list[Container]:
        filters = {"label": label_filters(self._project, self._service)}
        listed = await self._engine.ask("containers", all=True, filters=filters)
        return sorted((Container.of(each, self._port, self._network) for each in listed), key=lambda each: each.number)

    # ---- down

    async def _call_back(self, staying: Sequence[Container], marked: Collection[str]) -> None:
        """Give work again to those that were being emptied."""
        tasks = [self._retiring[each.id] for each in staying if each.id in self._retiring]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._draining.unmark([address for address in _addresses(staying) if address in marked])

    async def _retire(self, container: Container, begun_ms: float, token: int) -> None:
        keeps_mark_s = 0.0
        try:
            await self._draining.empty(container.addresses, begun_ms, token)
            await self._draining.keep(container.addresses, token)  # whoever leads now may want it back
            stopping = self._stopping[container.id] = asyncio.create_task(self._take_away(container))
            stopping.add_done_callback(lambda _: self._stopping.pop(container.id))
            await asyncio.shield(stopping)
            keeps_mark_s = _LINGER_S
        except ServiceError as error:
            _log.warning("server_removal_failed", container=container.number, error=str(error))
        finally:
            del self._retiring[container.id]
            unmarking = asyncio.create_task(self._unmark(container.addresses, keeps_mark_s))
            self._unmarking.add(unmarking)
            unmarking.add_done_callback(self._unmarking.discard)
            if not keeps_mark_s:
                await unmarking

    async def _unmark(self, addresses: Collection[str], after_s: float) -> None:
        try:
            await asyncio.sleep(after_s)
        finally:
            with suppress(ServiceError):  # a mark that stays is taken off later, as an orphan
                await self._draining.unmark(addresses)

    async def _take_away(self, container: Container) -> None:
        with suppress(ContainerGone):
            await self._engine.ask("stop", container.id)  # SIGTERM, then its own grace
            async with self._removing:  # of two that go together one must see the other gone
                if [each.id for each in await self._containers()] != [container.id]:
                    await self._engine.ask("remove_container", container.id, v=True)
        _log.info("server_removed", container=container.number)

    # ---- up

    async def _add(self, count: int) -> None:
        if self._slots is not None and self._stopping:
            await asyncio.wait(self._stopping.values())  # their slots are not free yet
        started = {await self._add_one() for _ in range(count)}
        there = await self._containers()
        await self._draining.unmark(_addresses(each for each in there if each.id in started))  # of who had them before

    async def _add_one(self) -> str:
        """Start a stopped replica, or a clone; answers its id."""
        there = await self._containers()
        if not there:
            raise ActuationFailed(
                f"no container of service {self._service} in project {self._project} is left to copy: "
                "docker compose up -d makes one"
            )
        replicas = {each.id: await self._engine.ask("inspect_container", each.id) for each in there}
        gpu = self._free_gpu([replicas[each.id] for each in there if each.running])
        for each in there:
            if not each.running and (gpu is None or gpu in self._gpus_of(replicas[each.id])):
                await self._engine.ask("start", each.id)
                return each.id
        taken = {each.number for each in there}
        number = next(each for each in range(1, len(there) + 2) if each not in taken)
        return await self._clone(replicas[min(there, key=lambda each: not each.ready).id], number, gpu)

    async def _clone(self, replica: Inspected, number: int, gpu: str | None) -> str:
        body = creation_of(replica, number, gpu)
        made = await self._engine.ask(
            "create_container_from_config", body, name_of(self._project, self._service, number)
        )
        clone: str = made["Id"]
        try:
            for network in networks_of(replica)[1:]:
                endpoint = endpoint_of(replica, network, number)
                options = {"aliases": endpoint["Aliases"], "driver_opt": endpoint.get("DriverOpts")}
                net_id = replica["NetworkSettings"]["Networks"][network]["NetworkID"]
                await self._engine.ask("connect_container_to_network", clone, net_id, **options)
            await self._engine.ask("start", clone)
        except ActuationFailed:
            with suppress(ActuationFailed):
                await self._engine.ask("remove_container", clone, v=True)
            raise
        _log.info("server_created", container=number)
        return clone

    def _free_gpu(self, running: Iterable[Inspected]) -> str | None:
        """A GPU that no server has; ``None`` where they are not given out here.

        Raises:
            CapacityExhausted: there is none.
        """
        if not self._gpus:
            return None
        taken = {gpu for replica in running for gpu in self._gpus_of(replica)}
        free = [gpu for gpu in self._gpus if gpu not in taken]
        if not free:
            raise CapacityExhausted(f"each of the GPUs {', '.join(self._gpus)} has a server")
        return free[0]

    def _gpus_of(self, replica: Inspected) -> list[str]:
        return gpus_of(replica) or [self._gpus[0]]


def _addresses(containers: Iterable[Container]) -> list[str]:
    return [address for each in containers for address in each.addresses]
