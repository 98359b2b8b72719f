"""Says once a second what this dispatcher sees, to the autoscaler in Redis and in metrics."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

import structlog

from narrows.contract.errors import RecordError, ServiceError
from narrows.contract.records.report import DispatcherReport, ServerReport, is_fresh
from narrows.contract.wire.frame_packet import FORMAT
from narrows.contract.wire.keys import ScaleKeys
from narrows.runtime.redis.server_clock import ServerClock
from narrows.runtime.redis.store import Store
from orchestrator.dispatch.batcher import Batcher
from orchestrator.dispatch.objective import Objective
from orchestrator.dispatch.saturation import Saturation
from orchestrator.dispatch.sweep import Sweep
from orchestrator.telemetry.metrics import Metrics

_log = structlog.get_logger(__name__)
_PERIOD_S = 1.0
_TIDY_ROUNDS = 60
_DEAD_MS = 60_000


class Reporting:
    """One report a second under the dispatcher's name; what dead dispatchers left is removed now and then."""

    def __init__(
        self,
        name: str,
        store: Store,
        batchers: Iterable[Batcher],
        sweep: Sweep,
        objective: Objective,
        clock: ServerClock,
        metrics: Metrics,
    ) -> None:
        self.name = name
        self._store, self._batchers, self._sweep, self._objective = store, list(batchers), sweep, objective
        self._clock, self._metrics = clock, metrics
        self._counted: dict[str, ServerReport] = {}
        self._writing = asyncio.Lock()
        self._left = False

    async def run(self) -> None:
        """Report for ever; a Redis that is away gets the next one."""
        saturation, rounds = Saturation(), 0
        while True:
            report = self.report(saturation.read())
            self._show(report)
            try:
                await self._write(report)
                if rounds % _TIDY_ROUNDS == 0:
                    await self._tidy()
                rounds += 1
            except ServiceError as error:
                _log.debug("report_write_failed", error=str(error))
            await asyncio.sleep(_PERIOD_S)

    async def leave(self) -> None:
        """Take the report back, for good.

        Raises:
            ServiceError: Redis is away.
        """
        async with self._writing:
            self._left = True
            await self._store.call("HDEL", ScaleKeys.REPORTS, self.name)

    def report(self, saturation: float) -> DispatcherReport:
        """What there is to say now."""
        seen = self._sweep.seen
        return DispatcherReport(
            name=self.name,
            at_ms=int(self._clock.now_ms()),
            streams=seen.streams,
            backlog_frames=seen.frames,
            backlog_age_s=round(seen.age_s, 3),
            saturation=round(saturation, 4),
            realtime_ended=self._objective.realtime_ended,
            realtime_late=self._objective.realtime_late,
            bundles={batcher.model.hex_id: batcher.demand.read() for batcher in self._batchers},
            servers=merged(batcher.servers() for batcher in self._batchers),
            top_streams=self._sweep.top.rates,
            packet_format=FORMAT,
            camera_masks=self._sweep.camera_masks,
        )

    async def _write(self, report: DispatcherReport) -> None:
        async with self._writing:
            if not self._left:
                await self._store.call("HSET", ScaleKeys.REPORTS, self.name, report.to_json())

    def _show(self, report: DispatcherReport) -> None:
        metrics = self._metrics
        metrics.saturation.set(report.saturation)
        for address in self._counted.keys() - report.servers.keys():
            for metric in (metrics.server_frames, metrics.server_failures):
                metric.remove(address)
        metrics.server_state.clear()
        metrics.server_outstanding.clear()
        for address, server in report.servers.items():
            metrics.server_state.labels(address, _state(server)).set(1)
            metrics.server_outstanding.labels(address).set(server.outstanding)
            before = self._counted.get(address, ServerReport(ready=False))
            metrics.server_frames.labels(address).inc(max(0, server.frames - before.frames))
            metrics.server_failures.labels(address).inc(max(0, server.failures - before.failures))
        self._counted = dict(report.servers)

    async def _tidy(self) -> None:
        now_ms = self._clock.now_ms()
        reports = await self._store.hash_of(ScaleKeys.REPORTS)
        for name, data in reports.items():
            if _is_dead(data, now_ms):
                await self._store.call("HDEL", ScaleKeys.REPORTS, name)


def merged(bundles: Iterable[Mapping[str, ServerReport]]) -> dict[str, ServerReport]:
    """How servers stand over all bundles: ready for any, left alone or draining for any, work added up."""
    found: dict[str, ServerReport] = {}
    for servers in bundles:
        for address, server in servers.items():
            before = found.get(address, ServerReport(ready=False))
            found[address] = ServerReport(
                ready=before.ready or server.ready,
                ejected=before.ejected or server.ejected,
                draining=before.draining or server.draining,
                outstanding=before.outstanding + server.outstanding,
                frames=before.frames + server.frames,
                failures=before.failures + server.failures,
            )
    return found


def _state(server: ServerReport) -> str:
    states = {"draining": server.draining, "ejected": server.ejected, "ready": server.ready}
    return next((state for state, true in states.items() if true), "connecting")


def _is_dead(data: bytes, now_ms: float) -> bool:
    try:
        return not is_fresh(DispatcherReport.parse(data).at_ms, now_ms, _DEAD_MS)
    except RecordError:
        return True
