"""Signals and a place that follows decisions, for tests of the policy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from orchestrator.scaling.policy import PolicySettings, PolicyState, after_success, decide
from orchestrator.scaling.signals import Decision, FleetSignals, Orders, Signals

RATES = {1: 80.0, 2: 104.0, 3: 108.8, 4: 110.4}
PLAIN = {1: 100.0}


def signals(
    frames_per_s: float,
    ready: int = 1,
    *,
    rates: Mapping[int, float] = PLAIN,
    starting: int = 0,
    instances: int = 1,
    slots: int | None = None,
    streams: int | None = None,
    backlog: int = 0,
    age_s: float = 0.0,
    late: float = 0.0,
    saturation: float = 0.0,
) -> Signals:
    """Signals with the rest at peace."""
    return Signals(
        streams=round(frames_per_s / 5) if streams is None else streams,
        frames_per_s=frames_per_s,
        server_frames_per_s=rates,
        backlog_frames=backlog,
        backlog_age_s=age_s,
        late_ratio=late,
        fleet=FleetSignals(ready, starting, 0, instances, slots),
        dispatcher_saturation=saturation,
    )


def play(
    loads: Iterable[float],
    settings: PolicySettings,
    *,
    ready: int = 1,
    every_s: float = 2.0,
    rates: Mapping[int, float] = PLAIN,
    orders: Orders | None = None,
) -> list[Decision]:
    """Decisions over a series of loads; the fleet follows at once and all succeeds."""
    state, instances, decisions = PolicyState(), 1, []
    for number, load in enumerate(loads):
        seen = signals(load, ready, rates=rates, instances=instances)
        decision, state = decide(seen, orders or Orders(), state, settings, number * every_s)
        state = after_success(state, decision.servers, decision.instances)
        ready, instances = decision.servers, decision.instances
        decisions.append(decision)
    return decisions


def one(seen: Signals, settings: PolicySettings, orders: Orders | None = None) -> Decision:
    """The first decision of all."""
    return decide(seen, orders or Orders(), PolicyState(), settings, 1000.0)[0]


def plain(settings: PolicySettings | None = None, **changes: float) -> PolicySettings:
    """Settings with one instance and no look-ahead, so that only servers move."""
    return replace(settings or PolicySettings(max_instances=1, trend_s=0.0), **changes)  # type: ignore[arg-type]
