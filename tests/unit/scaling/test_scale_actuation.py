"""Claims about acting: what an engine took, refused or failed, and what the policy is told of it."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from orchestrator.scaling.actuation import Actuation
from orchestrator.scaling.metrics import ScaleMetrics
from orchestrator.scaling.replicas import ActuationFailed, CapacityExhausted, Observed, StaleLeader
from orchestrator.scaling.settings import PolicySettings
from orchestrator.scaling.signals import Decision, FleetSignals, Orders, Signals
from orchestrator.scaling.steering import Steering

SETTINGS = PolicySettings(retry_s=5.0)
NOW_S = 100.0
SIGNALS = Signals(streams=1, frames_per_s=0.0, server_frames_per_s={1: 10.0}, fleet=FleetSignals(ready=2))


class Engine:
    """Takes a number of servers and of instances, unless it is told to fail."""

    name = "engine"

    def __init__(self) -> None:
        self.taken: list[tuple[int, int]] = []
        self.set: list[int] = []
        self.tried = asyncio.Event()
        self.fails: Exception | None = None
        self.instances_fail: Exception | None = None
        self.held: asyncio.Event | None = None

    async def observe(self) -> Observed:
        return Observed(2, 2)

    async def scale(self, target: int, seen: Observed, token: int) -> None:
        if self.fails:
            raise self.fails
        self.taken.append((target, token))

    async def instances(self) -> int:
        return 1

    async def set_instances(self, target: int) -> None:
        await asyncio.sleep(0)
        self.tried.set()
        if self.held is not None:
            await self.held.wait()
        if self.instances_fail:
            raise self.instances_fail
        self.set.append(target)

    async def close(self) -> None:
        return None


class Lease:
    token: int | None = 7


def acting(engine: Engine) -> tuple[Actuation, ScaleMetrics, Steering]:
    metrics = ScaleMetrics()
    lease: object = Lease()
    steering = Steering(lambda: NOW_S)
    actuation = Actuation(engine, engine, lease, metrics, steering)  # type: ignore[arg-type]
    steering.decide(SIGNALS, Orders(servers=3), SETTINGS)
    return actuation, metrics, steering


async def settled(engine: Engine) -> None:
    """Wait until instances were tried to be changed, and that was noted."""
    await engine.tried.wait()
    await asyncio.sleep(0)


async def changed(actuation: Actuation) -> None:
    """Wait until no instances are being changed."""
    if actuation._changing is not None:
        await actuation._changing


def failures(metrics: ScaleMetrics, engine: str, kind: str) -> float:
    return float(metrics.registry.get_sample_value(
        "narrows_scale_actuation_failures_total", {"engine": engine, "kind": kind}
    ) or 0.0)  # fmt: skip


async def test_what_differs_is_asked_for_and_what_does_not_is_left() -> None:
    engine = Engine()
    actuation, _, steering = acting(engine)
    await actuation.act(Decision(3, 1), Observed(2, 2), 1, SETTINGS)
    assert engine.taken == [(3, 7)]
    assert steering.state is not None
    assert steering.state.applied == (3, 1)
    await actuation.act(Decision(3, 1), Observed(3, 2), 1, SETTINGS)
    assert engine.taken == [(3, 7)]
    await actuation.act(Decision(3, 1), Observed(5, 2), 1, SETTINGS)
    assert engine.taken == [(3, 7), (3, 7)], "somebody else had asked for five"


async def test_nothing_is_done_once_the_lease_is_over() -> None:
    engine = Engine()
    actuation, _, _ = acting(engine)
    actuation._leadership.token = None  # type: ignore[misc]
    await actuation.act(Decision(3, 2), Observed(2, 2), 1, SETTINGS)
    await actuation.close()
    assert (engine.taken, engine.set) == ([], [])


@pytest.mark.parametrize(
    ("error", "kind"),
    [(ActuationFailed("away"), "failed"), (CapacityExhausted("full"), "exhausted"), (StaleLeader("late"), "stale")],
)
async def test_a_failure_is_counted_and_told_to_the_policy(error: ActuationFailed, kind: str) -> None:
    engine = Engine()
    engine.fails = error
    actuation, metrics, steering = acting(engine)
    await actuation.act(Decision(3, 1), Observed(2, 2), 1, SETTINGS)
    state = steering.state
    assert state is not None
    assert failures(metrics, "engine", kind) == 1
    assert actuation.failure == str(error)
    assert (state.retry_at_s == NOW_S + 5.0) is (kind == "failed")
    assert (state.full_until_s is not None) is (kind == "exhausted")


async def test_instances_change_on_the_side_and_one_change_at_a_time() -> None:
    engine = Engine()
    actuation, _, _ = acting(engine)
    for _ in range(3):
        await actuation.act(Decision(2, 2), Observed(2, 2), 1, SETTINGS)
    assert engine.set == []
    await settled(engine)
    await actuation.act(Decision(2, 2), Observed(2, 2), 2, SETTINGS)
    assert engine.set == [2]


async def test_a_change_of_instances_that_ends_after_a_newer_decision_records_what_was_taken() -> None:
    """Two were asked for; while they came, four were decided: a later failure falls back to two, which are there."""
    engine = Engine()
    engine.held = asyncio.Event()
    actuation, _, steering = acting(engine)
    await actuation.act(Decision(2, 2), Observed(2, 2), 1, SETTINGS)
    await engine.tried.wait()
    assert steering.state is not None
    assert steering.state.instances is not None
    steering.state = replace(steering.state, instances=replace(steering.state.instances, target=4))
    await actuation.act(Decision(2, 4), Observed(2, 2), 1, SETTINGS)  # the change before is still under way
    engine.held.set()
    await changed(actuation)
    assert steering.state.applied == (2, 2)
    engine.instances_fail = ActuationFailed("refused")
    await actuation.act(Decision(2, 4), Observed(2, 2), 2, SETTINGS)
    await changed(actuation)
    assert steering.state.instances is not None
    assert steering.state.instances.target == 2


async def test_an_older_change_that_succeeds_does_not_end_the_pause_after_a_newer_failure() -> None:
    engine = Engine()
    engine.held = asyncio.Event()
    actuation, _, steering = acting(engine)
    await actuation.act(Decision(2, 2), Observed(2, 2), 1, SETTINGS)
    await engine.tried.wait()
    engine.fails = ActuationFailed("away")
    await actuation.act(Decision(4, 2), Observed(2, 2), 1, SETTINGS)
    engine.held.set()
    await changed(actuation)
    assert steering.state is not None
    assert (steering.state.retry_at_s, actuation.failure) == (NOW_S + 5.0, "away")


async def test_unknown_instances_are_left_alone() -> None:
    engine = Engine()
    actuation, _, _ = acting(engine)
    await actuation.act(Decision(2, 2), Observed(2, 2), None, SETTINGS)
    await asyncio.sleep(0.01)
    assert engine.set == []


@pytest.mark.parametrize("error", [ActuationFailed("refused"), RuntimeError("a bug")])
async def test_instances_that_fail_do_not_take_back_servers_that_the_engine_took(error: Exception) -> None:
    engine = Engine()
    engine.instances_fail = error
    actuation, metrics, steering = acting(engine)
    await actuation.act(Decision(3, 2), Observed(2, 2), 1, SETTINGS)
    await settled(engine)
    state = steering.state
    assert state is not None
    assert state.servers is not None
    assert (state.servers.target, state.retry_at_s) == (3, NOW_S + 5.0)
    crashes = metrics.registry.get_sample_value("narrows_scale_rounds_total", {"outcome": "crash"}) or 0.0
    assert failures(metrics, "instances", "failed") + crashes == 1


def test_who_does_not_lead_remembers_nothing() -> None:
    steering = Steering(lambda: NOW_S)
    steering.took(servers=9)
    steering.succeeded(9, 9)
    steering.failed(SETTINGS, exhausted=False)
    assert steering.state is None
    steering.decide(SIGNALS, Orders(servers=3), SETTINGS)
    steering.forget()
    assert steering.state is None


def test_what_is_not_ours_to_decide_is_not_remembered() -> None:
    steering = Steering(lambda: NOW_S)
    assert steering.decide(SIGNALS, Orders(servers=3), SETTINGS).servers == 3
    steering.took(servers=3)
    kept = steering.state
    assert kept is not None
    assert kept.servers is not None
    assert kept.applied == (3, 1)
    steering.decide(SIGNALS, Orders(servers=3), SETTINGS, instances_known=False, servers_fixed=True)
    lost = steering.state
    assert lost is not None
    assert (lost.servers, lost.instances, lost.applied) == (None, None, None)
