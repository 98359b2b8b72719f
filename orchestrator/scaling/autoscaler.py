"""The loop: look, and where this process leads, decide and have it done.

::

    every second:   hold ── the lease ──► token
    every interval: engine, reports, Triton ─► Observer ─► Signals ─► decide ─► token still good? ─► engine
                                                  │                     └─► journal          └─► after_success / failure
                                                  └─► gauges, forecast, status

A process that does not lead looks too, so that it knows the costs when it has to lead. Targets are absolute and are
compared with what the engine has at each round: so what a stale leader did, or somebody by hand, lasts one interval.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import structlog

from narrows.contract.errors import RecordError, ServiceError
from narrows.contract.wire.keys import ScaleKeys
from narrows.contract.wire.scale_order import ScaleOrder
from narrows.runtime.loop_guard import LoopGuard
from narrows.runtime.redis.store import Store
from narrows.runtime.reminder import Reminder
from orchestrator.scaling.actuation import Actuation
from orchestrator.scaling.forecast import Forecast, Forecaster
from orchestrator.scaling.gain import capacity
from orchestrator.scaling.gauges import show
from orchestrator.scaling.health import AutoscalerHealth
from orchestrator.scaling.journal import DecisionJournal
from orchestrator.scaling.leader import Leadership
from orchestrator.scaling.metrics import ScaleMetrics
from orchestrator.scaling.observe import Observation, Observer
from orchestrator.scaling.reason import Reason
from orchestrator.scaling.replicas import (
    ActuationFailed,
    Instances,
    Observed,
    Replicas,
)
from orchestrator.scaling.settings import PolicySettings
from orchestrator.scaling.signals import Decision, FleetSignals, Orders
from orchestrator.scaling.status_of import status_of
from orchestrator.scaling.steering import Steering

_log = structlog.get_logger(__name__)
_HOLD_S = 1.0


@dataclass(frozen=True, slots=True)
class AutoscalerOptions:
    """How an autoscaler is to work.

    Attributes:
        settings: of the policy.
        interval_s: from one look to the next.
        dry_run: decide, say so, and change nothing.
    """

    settings: PolicySettings
    interval_s: float = 2.0
    dry_run: bool = False


class Autoscaler:
    """One process; of several, one leads."""

    def __init__(
        self,
        store: Store,
        leadership: Leadership,
        observer: Observer,
        replicas: Replicas,
        instances: Instances | None,
        plan: AutoscalerOptions,
        metrics: ScaleMetrics | None = None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Hold no lease yet.

        Args:
            store: the install's Redis.
            leadership: this process's claim.
            observer: what looks.
            replicas: the engine.
            instances: what changes instances; ``None``: nobody does.
            plan: how to work.
            metrics: what to export.
            monotonic: seconds.
        """
        self.metrics = metrics or ScaleMetrics()
        self.metrics.engine_is(replicas.name)
        self.metrics.target_load.set(plan.settings.target_load)
        self.health = AutoscalerHealth(max(10.0, 5 * plan.interval_s), monotonic)
        self._store, self._leadership, self._observer = store, leadership, observer
        self._replicas, self._plan = replicas, plan
        self._instances_fixed = instances is None
        self._steering = Steering(monotonic)
        self._actuation = Actuation(replicas, instances, leadership, self.metrics, self._steering)
        self._monotonic = monotonic
        self._forecaster = Forecaster()
        self._journal = DecisionJournal(store, self.metrics, leadership.owner)
        self._order_failure = ""
        self._reminder = Reminder(clock=monotonic)
        self._orders = ScaleOrder()

    async def run(self, stop: asyncio.Event) -> None:
        """Work until ``stop`` is set; then leave the lead to the next."""
        async with asyncio.TaskGroup() as tasks:
            guard = LoopGuard(lambda loop: self.metrics.loop_crashes.labels(loop).inc())
            loops = [
                tasks.create_task(guard.keep("lead", self._hold)),
                tasks.create_task(guard.keep("rounds", self._rounds)),
            ]
            await stop.wait()
            self.health.stopping = True
            for loop in loops:
                loop.cancel()
        await self._actuation.close()
        try:
            await self._leadership.leave()
        except ServiceError as error:
            _log.warning("lease_release_failed", error=str(error))

    async def _hold(self) -> None:
        while True:
            try:
                await self._leadership.hold()
            except ServiceError as error:
                _log.debug("lease_renewal_failed", error=str(error))
            self.metrics.leader.set(self._leadership.token is not None)
            await asyncio.sleep(_HOLD_S)

    async def _rounds(self) -> None:
        while True:
            begun_s = self._monotonic()
            try:
                await self.round()
                self.health.went_well()
                self._reminder.over()
                outcome = "ok"
            except ActuationFailed as error:
                outcome = "engine"
                self._trouble(outcome, error)
                self.metrics.actuation_failures.labels(self._replicas.name, "observe").inc()
            except ServiceError as error:
                outcome = "redis"
                self._trouble(outcome, error)
            except Exception:  # noqa: BLE001 - the outermost loop: said, counted, and on it goes
                outcome = "crash"
                self.health.trouble = "an unforeseen error; see the log"
                _log.exception("round_crashed")
            self.metrics.rounds.labels(outcome).inc()
            await asyncio.sleep(max(0.1, self._plan.interval_s - (self._monotonic() - begun_s)))

    async def round(self) -> None:
        """One look; where this process leads, one decision.

        Raises:
            ActuationFailed: the engine does not tell what it has; nothing was changed.
            ServiceError: Redis is away, or refuses; nothing was changed.
        """
        reports = await self._observer.reports()
        observed = await self._replicas.observe()
        seen = await self._observer.look(reports, observed)
        settings = self._bounds(observed, seen)
        forecast = self._forecast(seen, settings)
        show(self.metrics, seen, self._observer.capacity, forecast)
        token = self._leadership.token
        if token is None:
            self._steering.forget()
            self._journal.begin()
            self.metrics.not_leading()
            return
        await self._lead(token, observed, seen, settings, forecast)

    async def _lead(
        self, token: int, observed: Observed, seen: Observation, settings: PolicySettings, forecast: Forecast
    ) -> None:
        self._orders = await self._read_orders()
        orders = Orders(self._orders.servers, self._orders.frozen)
        fixed = self._actuation.fixed
        decision = self._steering.decide(
            seen.signals, orders, settings, instances_known=seen.instances_known, servers_fixed=fixed
        )
        if fixed:
            self._journal.servers_are(decision.servers)
        self._show(decision)
        if not (self._plan.dry_run or orders.frozen or Reason.BACKING_OFF in decision.reasons):
            instances = seen.signals.fleet.instances if seen.instances_known else None
            await self._actuation.act(decision, observed, instances, settings)
        await self._journal.note(decision, dry_run=self._plan.dry_run)
        at_ms = int(await self._store.time_ms())
        status = status_of(
            at_ms=at_ms,
            interval_s=self._plan.interval_s,
            leader=self._leadership.owner,
            token=token,
            engine=self._replicas.name,
            dry_run=self._plan.dry_run,
            order=self._orders,
            seen=seen,
            observed=observed,
            decision=decision,
            settings=settings,
            forecast=forecast,
            failure=self._actuation.failure or self._order_failure,
        )
        lives_ms = int(max(10.0, 5 * self._plan.interval_s) * 1000)
        await self._store.call("SET", ScaleKeys.STATUS, status.to_json(), "PX", lives_ms)

    def _bounds(self, observed: Observed, seen: Observation) -> PolicySettings:
        """The settings, held to what nobody can change here."""
        settings, fleet = self._plan.settings, seen.signals.fleet
        if self._actuation.fixed:
            servers = max(1, observed.ready)
            settings = replace(settings, min_servers=servers, max_servers=servers)
        if self._instances_fixed:
            settings = replace(settings, min_instances=fleet.instances, max_instances=fleet.instances)
        return settings

    def _forecast(self, seen: Observation, settings: PolicySettings) -> Forecast:
        signals, fleet = seen.signals, seen.signals.fleet
        return self._forecaster.take(
            self._monotonic(),
            streams=signals.streams,
            frames_per_s=signals.frames_per_s,
            server_frames_per_s=capacity(dict(signals.server_frames_per_s), fleet.instances),
            ready=fleet.ready,
            most=_most(settings, fleet),
            target_load=settings.target_load,
        )

    async def _read_orders(self) -> ScaleOrder:
        """What stands; an order that cannot be read is none, and the one before it goes on."""
        stored = await self._store.call("GET", ScaleKeys.COMMAND)
        try:
            order = ScaleOrder() if stored is None else ScaleOrder.parse(stored)
        except RecordError as error:
            if self._order_failure != str(error):
                _log.warning("order_unreadable", error=str(error))
            self._order_failure = str(error)
            return self._orders
        self._order_failure = ""
        return order

    def _show(self, decision: Decision) -> None:
        metrics = self.metrics
        metrics.leader.set(1)
        metrics.wanted.set(decision.servers)
        metrics.instances_wanted.set(decision.instances)
        metrics.exhausted.set(Reason.CAPACITY_EXHAUSTED in decision.reasons)
        metrics.frozen.set(self._orders.frozen)
        metrics.manual.set(self._orders.servers is not None)
        metrics.dry_run.set(self._plan.dry_run)

    def _trouble(self, service: str, error: ServiceError) -> None:
        if self._reminder.due(str(error)):
            _log.warning("round_failed", service=service, error=str(error))
        self.health.trouble = str(error)


def _most(settings: PolicySettings, fleet: FleetSignals) -> int:
    return settings.max_servers if fleet.slots is None else min(settings.max_servers, fleet.slots)
