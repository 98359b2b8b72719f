"""Gathering the signals: dispatchers' reports, shards that nobody owns, and Triton's own statistics.

::

    Redis: reports ──────┬─ streams, frames/s by bundle, lateness, saturation ─┐
    Redis: unowned shards ┴─ backlog ──────────────────────────────────────────┼─► Signals
    engine ── servers by state, slots ─────────────────────────────────────────┤
    Triton ── batch_stats ─► CapacityModel ── frames/s by instances ───────────┘
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from narrows.contract.records.report import DispatcherReport
from narrows.runtime.redis.store import Store
from orchestrator.scaling.capacity import CapacityModel, Mix
from orchestrator.scaling.lateness import Lateness
from orchestrator.scaling.registered import metrics_addresses, read_registered
from orchestrator.scaling.replicas import Observed
from orchestrator.scaling.reports import Reports
from orchestrator.scaling.server_watch import ServerLook, ServerWatch
from orchestrator.scaling.signals import SIGNALS, FleetSignals, Signals
from orchestrator.scaling.triton_metrics import TritonGauges, TritonScraper
from orchestrator.scaling.unowned import Backlog, UnownedBacklog


@dataclass(frozen=True, slots=True)
class ServerSight:
    """One server, for people: what Triton says, and what the dispatchers have there."""

    look: ServerLook | None
    gauges: TritonGauges
    outstanding: int


@dataclass(frozen=True, slots=True)
class Observation:
    """The signals, and what people want to see beside them.

    Attributes:
        offered: frames/s by bundle.
        decode_s: a dispatcher's mean seconds for a frame's symbols, by bundle and rate level.
        servers: by address.
    """

    signals: Signals
    reports: int = 0
    offered: Mix = field(default_factory=dict)
    decode_s: Mapping[tuple[str, ...], float] = field(default_factory=dict)
    servers: Mapping[str, ServerSight] = field(default_factory=dict)

    @property
    def instances_known(self) -> bool:
        """Whether every server said how many instances it has."""
        return bool(self.servers) and all(sight.look is not None for sight in self.servers.values())


class Observer:
    """Looks; keeps what only several looks can tell.

    Attributes:
        capacity: what was learned.
        servers: the addresses that were looked at last.
    """

    def __init__(
        self,
        store: Store,
        capacity: CapacityModel,
        *,
        metrics_port: int = 8002,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.capacity = capacity
        self._monotonic = monotonic
        self._reports = Reports(store)
        self._unowned = UnownedBacklog(store, monotonic)
        self._lateness = Lateness()
        self._watch = ServerWatch(monotonic)
        self._scraper = TritonScraper()
        self._store, self._metrics_port = store, metrics_port
        self._mix: Mix = {}
        self.servers: tuple[str, ...] = ()

    async def reports(self) -> list[DispatcherReport]:
        """The dispatchers' fresh reports.

        Raises:
            ServiceError: Redis is away, or refuses.
        """
        return await self._reports.read()

    async def look(self, reports: Sequence[DispatcherReport], observed: Observed) -> Observation:
        """The state of the system.

        Args:
            reports: from :meth:`reports`.
            observed: what the engine has.

        Raises:
            ServiceError: Redis is away, or refuses.
        """
        unowned = await self._unowned.count({report.name for report in reports})
        offered = offered_by_bundle(reports)
        addresses = self.servers = server_addresses(reports, observed)
        bundles = sorted({*offered, *self.capacity.bundles()})
        registered = await read_registered(self._store)
        looks, gauges = await asyncio.gather(
            self._watch.look(addresses, bundles, registered),
            self._scraper.look(metrics_addresses(addresses, registered, self._metrics_port)),
        )
        self.capacity.learn(looks.values())
        if any(rate > 0 for rate in offered.values()):
            self._mix = offered
        return Observation(
            signals=self._signals(reports, observed, looks, unowned),
            reports=len(reports),
            offered=offered,
            decode_s=decode_costs(reports),
            servers={
                address: ServerSight(
                    looks.get(address), gauges.get(address, TritonGauges()), _outstanding(reports, address)
                )
                for address in addresses
            },
        )

    async def close(self) -> None:
        """Close the connections to servers."""
        await self._watch.close()
        await self._scraper.close()

    def _signals(
        self,
        reports: Sequence[DispatcherReport],
        observed: Observed,
        looks: Mapping[str, ServerLook],
        unowned: Backlog,
    ) -> Signals:
        own = [Backlog(report.backlog_frames, report.backlog_age_s) for report in reports]
        backlog = sum(own, unowned)
        offered = math.fsum(offered_by_bundle(reports).values())
        return Signals(
            **reported(reports),
            frames_per_s=offered if reports else math.nan,
            server_frames_per_s=self.capacity.rates(self._mix),
            backlog_frames=backlog.frames,
            backlog_age_s=round(backlog.age_s, 3),
            late_ratio=self._lateness.take(reports, self._monotonic()),
            fleet=fleet_of(observed, looks),
        )


def reported(reports: Sequence[DispatcherReport]) -> dict[str, Any]:
    """The signals that are one field of the dispatchers' reports, combined as they are declared."""
    return {
        name: each.combine(getattr(report, each.report) for report in reports)
        for name, each in SIGNALS.items()
        if each.report is not None
    }


def offered_by_bundle(reports: Sequence[DispatcherReport]) -> dict[str, float]:
    """Frames/s by bundle, of all dispatchers and rate levels."""
    offered: dict[str, float] = {}
    for report in reports:
        for bundle, asked in report.bundles.items():
            offered[bundle] = offered.get(bundle, 0.0) + math.fsum(asked.frames_per_s.values())
    return offered


def decode_costs(reports: Sequence[DispatcherReport]) -> dict[tuple[str, ...], float]:
    """Mean seconds to decode and pack a frame in a dispatcher, by bundle and rate level."""
    found: dict[tuple[str, ...], list[float]] = {}
    for report in reports:
        for bundle, asked in report.bundles.items():
            for level, seconds in asked.decode_s.items():
                found.setdefault((bundle, level), []).append(seconds)
    return {key: math.fsum(seconds) / len(seconds) for key, seconds in found.items()}


def server_addresses(reports: Sequence[DispatcherReport], observed: Observed) -> tuple[str, ...]:
    """The servers to look at: those that dispatchers work with, else those that the engine names."""
    used = {address for report in reports for address, server in report.servers.items() if not server.ejected}
    return tuple(sorted(used or set(observed.servers)))


def fleet_of(observed: Observed, looks: Mapping[str, ServerLook]) -> FleetSignals:
    """The servers. What was asked for and is not there yet counts as starting, whatever the engine calls it."""
    return FleetSignals(
        ready=observed.ready,
        starting=max(observed.starting, observed.wanted - observed.ready),
        draining=observed.draining,
        instances=min((look.instances for look in looks.values()), default=1),
        slots=observed.slots,
    )


def _outstanding(reports: Sequence[DispatcherReport], address: str) -> int:
    return sum(report.servers[address].outstanding for report in reports if address in report.servers)
