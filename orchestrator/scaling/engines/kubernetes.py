"""A Kubernetes Deployment, through its scale subresource and under the resourceVersion that was seen.

::

    up     PUT …/scale at once
    down   mark in Redis and make cheap to delete ─► dispatchers have nothing there, or 30 s ─► PUT …/scale

Which pods go is the ReplicaSet's choice: first those without a node, then those that are not ready, and among equals
the cheapest by ``controller.kubernetes.io/pod-deletion-cost``. Those that are emptied here are chosen in the same
order, so they are the ones that go, unless a further pod fails meanwhile. The pod then gets SIGTERM, and Triton
finishes what is left within ``terminationGracePeriodSeconds``.

A HorizontalPodAutoscaler on the same Deployment would fight this: have one of the two.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog

from narrows.contract.errors import ServiceError
from narrows.runtime.redis.store import Store
from orchestrator.scaling.engines.cluster import Cluster, Pod, ServiceGone
from orchestrator.scaling.engines.draining import Draining
from orchestrator.scaling.engines.slots import LearnedSlots
from orchestrator.scaling.replicas import ActuationFailed, Observed, StaleLeader

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

_CHEAP = -1000
_TRIES, _LOOK_S = 5, 1.0
_LEAVING_S = 60.0  # so long at most a pod that was let go keeps its mark
_log = structlog.get_logger(__name__)


class KubernetesScale:
    """The pods of one Deployment."""

    name = "kubernetes"

    def __init__(
        self,
        namespace: str,
        deployment: str,
        store: Store,
        *,
        port: int = 8001,
        drain_s: float = 30.0,
        schedule_within_s: float = 60.0,
        connect: Callable[[], ApiClient] | None = None,
    ) -> None:
        """Scale ``deployment`` in ``namespace``.

        Args:
            namespace: of the deployment.
            deployment: whose pods are the servers.
            store: the Redis in which servers are marked.
            port: of gRPC, in each pod.
            drain_s: how long a server may take to finish its work.
            schedule_within_s: a pod that has no node for longer than this finds none (`Insufficient nvidia.com/gpu`).
                Where an autoscaler adds nodes, allow it the time.
            connect: makes the client; by default as `kubectl` finds its cluster.
        """
        self._deployment, self._port, self._within_s = deployment, port, schedule_within_s
        self._cluster = Cluster(namespace, connect)
        self._draining = Draining(store, drain_s)
        self._slots = LearnedSlots()
        self._changing = asyncio.Lock()
        self._going: asyncio.Task[None] | None = None
        self._going_to = 0
        self._seeing_off: set[asyncio.Task[None]] = set()

    async def observe(self) -> Observed:
        """See :meth:`.Replicas.observe`. A pod that finds no node in time says how many there are slots for."""
        scale = await self._cluster.scale_of(self._deployment)
        pods = await self._cluster.pods(scale.selector, self._port)
        marked = await self._draining.marked(_addresses(pods))
        leaving = [each for each in pods if each.leaving or marked.intersection(each.addresses)]
        staying = [each for each in pods if each not in leaving]
        homeless = [each for each in staying if self._finds_no_node(each)]
        return Observed(
            wanted=min(scale.replicas, self._going_to) if self._going else scale.replicas,
            ready=sum(each.ready for each in staying),
            starting=sum(not each.ready for each in staying) - len(homeless),
            draining=len(leaving),
            slots=self._slots.note(len(staying) - len(homeless), len(homeless)),
            version=scale.version,
            servers=tuple(_addresses(each for each in pods if each.ready)),
        )

    async def scale(self, target: int, seen: Observed, token: int) -> None:
        """See :meth:`.Replicas.scale`. Fewer are written once those that go are empty."""
        async with self._changing:
            await self._draining.check(token)
            self._slots.check(target, seen.wanted)
            if self._going and self._going_to == target:
                return
            scale = await self._cluster.scale_of(self._deployment)
            if scale.version != seen.version:
                raise StaleLeader(
                    f"deployment {self._deployment} was changed since {seen.version}: nothing was changed"
                )
            await self._call_back()
            pods = await self._cluster.pods(scale.selector, self._port)
            if target > scale.replicas:
                await self._cluster.set_scale(self._deployment, target, scale.version)
            elif target < scale.replicas:
                marked = await self._draining.marked(_addresses(pods))
                going = _first_to_go(pods, marked)[: scale.replicas - target]
                await self._let_go(going, scale.replicas, target, token)

    async def close(self) -> None:
        """Let go: pods that were being emptied get work again."""
        async with self._changing:
            await self._call_back()
        for task in list(self._seeing_off):
            task.cancel()
        await asyncio.gather(*self._seeing_off, return_exceptions=True)
        await self._cluster.close()

    async def _call_back(self) -> None:
        """Give work again to those that are being emptied."""
        if self._going is not None:
            self._going.cancel()
            await asyncio.gather(self._going, return_exceptions=True)

    async def _let_go(self, going: Sequence[Pod], replicas: int, target: int, token: int) -> None:
        addresses = _addresses(going)
        begun_ms = await self._draining.mark(addresses, token) if addresses else 0.0
        try:
            for pod in going:
                with suppress(ServiceGone):
                    await self._cluster.set_deletion_cost(pod.name, _CHEAP)
        except ServiceError:
            await self._restore(going)
            raise
        self._going_to = target
        self._going = asyncio.create_task(self._retire(going, begun_ms, replicas, target, token))
        await asyncio.sleep(0)  # it has begun: whenever it is cancelled now, it cleans up

    async def _retire(self, going: Sequence[Pod], begun_ms: float, replicas: int, target: int, token: int) -> None:
        addresses, written = _addresses(going), False
        try:
            if addresses:
                await self._draining.empty(addresses, begun_ms, token)
            async with self._changing:
                await self._write(replicas, target, addresses, token)
            written = True
        except ServiceError as error:
            _log.warning("server_removal_failed", pods=[pod.name for pod in going], error=str(error))
        finally:
            self._going = None
            seeing_off = asyncio.create_task(self._see_off(going) if written else self._restore(going))
            self._seeing_off.add(seeing_off)
            seeing_off.add_done_callback(self._seeing_off.discard)
            if not written:
                await seeing_off

    async def _write(self, replicas: int, target: int, addresses: Sequence[str], token: int) -> None:
        """Write the target if nobody else wrote one. A pod that became ready changes the version too: look again."""
        for _ in range(_TRIES):
            scale = await self._cluster.scale_of(self._deployment)
            if scale.replicas != replicas:
                raise StaleLeader(f"deployment {self._deployment} was given {scale.replicas} replicas meanwhile")
            await (self._draining.keep(addresses, token) if addresses else self._draining.check(token))
            with suppress(StaleLeader):
                return await self._cluster.set_scale(self._deployment, target, scale.version)
        raise ActuationFailed(f"deployment {self._deployment} changed each time before {target} could be written")

    async def _see_off(self, going: Sequence[Pod]) -> None:
        """Keep the marks while the pods finish."""
        names, clock = {pod.name for pod in going}, asyncio.get_running_loop().time
        until_s = clock() + _LEAVING_S
        try:
            while names and clock() < until_s:
                await asyncio.sleep(_LOOK_S)
                with suppress(ActuationFailed):
                    scale = await self._cluster.scale_of(self._deployment)
                    names &= {pod.name for pod in await self._cluster.pods(scale.selector, self._port)}
        finally:
            await self._restore([pod for pod in going if pod.name in names], _addresses(going))

    async def _restore(self, pods: Sequence[Pod], marked: Collection[str] | None = None) -> None:
        """Pods that stay are as any other again."""
        with suppress(ServiceError):  # a mark that stays is taken off later, as an orphan
            await self._draining.unmark(_addresses(pods) if marked is None else marked)
        for pod in pods:
            with suppress(ServiceError):
                await self._cluster.set_deletion_cost(pod.name, None)

    def _finds_no_node(self, pod: Pod) -> bool:
        since = pod.homeless_since
        return since is not None and (datetime.now(UTC) - since).total_seconds() >= self._within_s


def _first_to_go(pods: Iterable[Pod], marked: set[str]) -> list[Pod]:
    """As a ReplicaSet would choose: without a node, not ready, youngest; of equals those that are marked already."""
    staying = (each for each in pods if not each.leaving)
    return sorted(
        staying,
        key=lambda each: (each.placed, each.ready, marked.isdisjoint(each.addresses), -each.born.timestamp()),
    )


def _addresses(pods: Iterable[Pod]) -> list[str]:
    return [address for each in pods for address in each.addresses]
