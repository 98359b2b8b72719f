"""Triton's own statistics of every server: instances, batches and their cost, queues; between two looks.

``batch_stats`` charges an execution once, as :mod:`orchestrator.inference.cost` wants it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace

from narrows.contract.errors import NarrowsError
from narrows.runtime.triton_config import model_name
from orchestrator.discovery.record import ServerRecord
from orchestrator.inference.cost import BatchTotals, totals_since
from orchestrator.inference.triton_model import ModelStatistics, TritonModel

_ANSWER_S = 3.0


@dataclass(frozen=True, slots=True)
class ModelLook:
    """One bundle on one server now."""

    instances: int
    max_batch: int
    statistics: ModelStatistics


@dataclass(frozen=True, slots=True)
class ServerLook:
    """One server now, and what it did since the last look.

    Attributes:
        instances: the least of its bundles.
        elapsed_s: since the last look; 0 where there was none, or where instances or bundles changed in between: then
            nothing is said of what was done.
        executed: batches by bundle (16 hex digits) and size.
        max_batch: the largest batch of each bundle's model.
        queue_s: mean seconds that a request waited in Triton's queue.
        cores: processor seconds that it may use each second; ``None``: no limit is known.
        cpu_s: processor seconds that it used; ``None``: nobody says.
    """

    instances: int
    elapsed_s: float = 0.0
    executed: Mapping[str, Mapping[int, BatchTotals]] = field(default_factory=dict)
    max_batch: Mapping[str, int] = field(default_factory=dict)
    queue_s: float = 0.0
    cores: float | None = None
    cpu_s: float | None = None

    @property
    def busy_instances(self) -> float:
        """How many instances computed, on the mean."""
        if self.elapsed_s <= 0:
            return 0.0
        totals = [each for by_size in self.executed.values() for each in by_size.values()]
        return sum(each.compute_s for each in totals) / self.elapsed_s

    @property
    def compute_s(self) -> float:
        """Mean seconds of a batch."""
        totals = [each for by_size in self.executed.values() for each in by_size.values()]
        batches = sum(each.executions for each in totals)
        return sum(each.compute_s for each in totals) / batches if batches else 0.0


class ServerWatch:
    """Keeps a connection to every server."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._models: dict[tuple[str, str], TritonModel] = {}
        self._last: dict[str, tuple[float, dict[str, ModelLook]]] = {}
        self._cpu_s: dict[str, float] = {}

    async def look(
        self, servers: Collection[str], bundles: Collection[str], registered: Mapping[str, ServerRecord] | None = None
    ) -> dict[str, ServerLook]:
        """Look at all servers at once; one that does not answer in time, or serves none of the bundles, is left out.

        Args:
            servers: addresses.
            bundles: ids, 16 hex digits.
            registered: what servers said of themselves, by address.
        """
        await self._forget(servers, bundles)
        found = await asyncio.gather(*(self._bundles_of(server, bundles) for server in servers))
        looks: dict[str, ServerLook] = {}
        for server, now in zip(servers, found, strict=True):
            if now:
                at_s = self._monotonic()
                look = _look(now, self._last.get(server), at_s)
                looks[server] = self._with_cpu(server, look, (registered or {}).get(server))
                self._last[server] = at_s, now
            else:
                self._last.pop(server, None)
        return looks

    async def close(self) -> None:
        """Close the connections."""
        models, self._models = self._models, {}
        await asyncio.gather(*(model.close() for model in models.values()))

    def _with_cpu(self, server: str, look: ServerLook, record: ServerRecord | None) -> ServerLook:
        """With what it used of the processor meanwhile; nothing is said where the server began anew."""
        if record is None or record.cpu_s is None:
            self._cpu_s.pop(server, None)
            return look
        before_s, self._cpu_s[server] = self._cpu_s.get(server), record.cpu_s
        fresh = look.elapsed_s > 0 and before_s is not None and record.cpu_s >= before_s
        return replace(look, cores=record.cores, cpu_s=record.cpu_s - (before_s or 0.0) if fresh else None)

    async def _bundles_of(self, server: str, bundles: Collection[str]) -> dict[str, ModelLook]:
        looks = await asyncio.gather(*(self._model_of(server, bundle) for bundle in bundles))
        return {bundle: look for bundle, look in zip(bundles, looks, strict=True) if look is not None}

    async def _model_of(self, server: str, bundle: str) -> ModelLook | None:
        model = self._models.get((server, bundle))
        if model is None:
            model = self._models[server, bundle] = TritonModel(server, model_name(int(bundle, 16)))
        try:
            async with asyncio.timeout(_ANSWER_S):
                config = await model.config()
                statistics = await model.statistics()
        except (NarrowsError, TimeoutError):
            return None
        instances = sum(group.count * max(1, len(group.gpus)) for group in config.instance_group)
        return ModelLook(instances, int(config.max_batch_size), statistics)

    async def _forget(self, servers: Collection[str], bundles: Collection[str]) -> None:
        gone = [each for each in self._models if each[0] not in servers or each[1] not in bundles]
        models = [self._models.pop(each) for each in gone]
        self._last = {server: last for server, last in self._last.items() if server in servers}
        self._cpu_s = {server: cpu_s for server, cpu_s in self._cpu_s.items() if server in servers}
        await asyncio.gather(*(model.close() for model in models))


def _look(now: dict[str, ModelLook], last: tuple[float, dict[str, ModelLook]] | None, at_s: float) -> ServerLook:
    instances = min(look.instances for look in now.values())
    max_batch = {bundle: look.max_batch for bundle, look in now.items()}
    if last is None or {b: each.instances for b, each in last[1].items()} != {b: e.instances for b, e in now.items()}:
        return ServerLook(instances, max_batch=max_batch)
    before_s, before = last
    executed = {
        bundle: totals_since(look.statistics.batches, before[bundle].statistics.batches) for bundle, look in now.items()
    }
    return ServerLook(instances, max(at_s - before_s, 1e-3), executed, max_batch, _queue_s(now, before))


def _queue_s(now: Mapping[str, ModelLook], before: Mapping[str, ModelLook]) -> float:
    requests = sum(look.statistics.requests - before[bundle].statistics.requests for bundle, look in now.items())
    waited_s = sum(look.statistics.queue_s - before[bundle].statistics.queue_s for bundle, look in now.items())
    return max(0.0, waited_s / requests) if requests > 0 else 0.0
