"""A process that stood still blames itself, and nobody else for what it missed."""

import asyncio
import time

import pytest

from orchestrator.dispatch.health import DispatcherHealth
from orchestrator.telemetry.faults import Cause, Faults
from orchestrator.telemetry.metrics import Metrics
from orchestrator.telemetry.pause import PERIOD_S, PauseWatch


class Clock:
    """A clock that the test turns."""

    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def ticking(clock: Clock, watch: PauseWatch, ticks: int = 3) -> None:
    for _ in range(ticks):
        watch.tick()
        clock.now_s += PERIOD_S


def count(metrics: Metrics, cause: Cause) -> float:
    return metrics.registry.get_sample_value("narrows_faults_total", {"cause": cause.value}) or 0.0


def test_a_process_that_ticks_stands_not_still_however_late_a_tick_is_by_little() -> None:
    watch = PauseWatch(clock := Clock())
    ticking(clock, watch)
    clock.now_s += 0.9
    assert watch.tick() == 0
    assert not watch.lately()


def test_a_pause_is_known_before_and_after_its_first_tick_and_for_a_second() -> None:
    watch = PauseWatch(clock := Clock())
    ticking(clock, watch)
    clock.now_s += 20
    assert watch.lately()
    assert watch.tick() == pytest.approx(20)
    clock.now_s += 0.9
    assert watch.lately()
    clock.now_s += 0.2
    assert watch.tick() == 0 or not watch.lately()


@pytest.mark.parametrize("cause", [Cause.REDIS_AWAY, Cause.TRITON_AWAY, Cause.TRITON_HUNG, Cause.TRITON_SERVER_LOST])
def test_what_is_late_after_a_pause_is_nobodys_fault_until_it_lasts(cause: Cause) -> None:
    watch = PauseWatch(clock := Clock())
    faults = Faults(metrics := Metrics(), clock, watch.lately)
    ticking(clock, watch)
    clock.now_s += 20
    faults.begin(cause, "no answer in 10 s")
    faults.happened(cause, "no answer in 10 s")
    watch.tick()
    faults.begin(cause, "no answer in 10 s")
    faults.end(cause)
    assert count(metrics, cause) == 0
    for _ in range(8):
        clock.now_s += PERIOD_S
        watch.tick()
    faults.begin(cause, "connection refused")
    assert count(metrics, cause) == 1


def test_a_lost_lease_and_a_full_server_are_said_all_the_same() -> None:
    watch = PauseWatch(clock := Clock())
    faults = Faults(metrics := Metrics(), clock, watch.lately)
    ticking(clock, watch)
    clock.now_s += 20
    faults.happened(Cause.LEASE_LOST, "to others")
    faults.begin(Cause.REDIS_FULL, "full")
    assert count(metrics, Cause.LEASE_LOST) == count(metrics, Cause.REDIS_FULL) == 1


async def test_the_loop_says_how_long_it_stood_still() -> None:
    told: list[float] = []
    watch = PauseWatch()
    watching = asyncio.create_task(DispatcherHealth().watch_loop(told.append, watch))
    await asyncio.sleep(2 * PERIOD_S)
    time.sleep(1.5)  # noqa: ASYNC251 - this is what is to be noticed
    await asyncio.sleep(2 * PERIOD_S)
    watching.cancel()
    assert len(told) == 1
    assert told[0] > 1.0
