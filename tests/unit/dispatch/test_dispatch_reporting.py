"""What a dispatcher says of itself: demand, the objective, saturation, servers."""

import asyncio
import time

import pytest

from narrows.contract.records.report import ServerReport
from narrows.contract.wire.feature import FrameIdentity
from narrows.contract.wire.outcome import MASK, REFUSED
from narrows.contract.wire.streams import Policy
from orchestrator.dispatch.demand import Demand
from orchestrator.dispatch.endings import Ending
from orchestrator.dispatch.objective import Objective
from orchestrator.dispatch.reporting import merged
from orchestrator.dispatch.saturation import Saturation, thread_busy_s
from orchestrator.dispatch.stream import Taken
from orchestrator.telemetry.metrics import Metrics

FRAME = FrameIdentity(1, 2)


class Clock:
    now_s = 50.0

    def __call__(self) -> float:
        return self.now_s


def test_demand_is_read_as_a_rate_for_each_level_and_fades_with_a_half_life_of_two_seconds() -> None:
    clock = Clock()
    demand = Demand(clock)
    for level, frames in ((0, 10), (3, 40)):
        for _ in range(frames):
            demand.offered(level)
    clock.now_s += 2
    assert demand.read().frames_per_s == {"0": 5.0, "3": 20.0}
    clock.now_s += 2
    assert demand.read().frames_per_s == {"0": 2.5, "3": 10.0}


def test_what_reading_a_frame_costs_is_a_running_mean_for_each_level() -> None:
    demand = Demand(Clock())
    demand.took(0, 0.010)
    demand.took(1, 0.030)
    demand.took(1, 0.050)
    costs = demand.read().decode_s
    assert costs["0"] == 0.010
    assert 0.030 < costs["1"] < 0.040
    for _ in range(200):
        demand.took(1, 0.050)
    assert demand.read().decode_s["1"] == pytest.approx(0.050, rel=0.01)


@pytest.mark.parametrize(
    ("ending", "took_ms", "within"),
    [
        (Ending(MASK, b"", identity=FRAME), 500.0, "yes"),
        (Ending(MASK, b"", identity=FRAME), 500.1, "no"),
        (Ending.skipped("stale", FRAME), 10.0, "no"),
        (Ending(REFUSED, b"", "inference", identity=FRAME), 10.0, "no"),
        (Ending(REFUSED, b"", "crc_mismatch"), 10.0, None),
    ],
)
def test_a_frame_meets_the_objective_by_a_mask_in_time_and_bad_packets_do_not_count(
    ending: Ending, took_ms: float, within: str | None
) -> None:
    objective = Objective(500, metrics := Metrics())
    objective.count(Policy.REALTIME, ending, took_ms)
    objective.count(Policy.COMPLETE, ending, took_ms)
    for policy in ("realtime", "complete"):
        for label in ("yes", "no"):
            labels = {"policy": policy, "within": label}
            assert metrics.registry.get_sample_value("narrows_slo_frames_total", labels) == (label == within)
    assert objective.realtime_ended == (within is not None)
    assert objective.realtime_late == (within == "no")


def test_saturation_is_the_share_of_time_in_which_the_thread_was_busy() -> None:
    clock, busy = Clock(), Clock()
    saturation = Saturation(busy, clock)
    for worked_s, share in ((0.25, 0.25), (0.0, 0.0), (1.0, 1.0), (1.2, 1.0)):
        clock.now_s += 1
        busy.now_s += worked_s
        assert saturation.read() == pytest.approx(share)
    assert saturation.read() == 0.0


async def test_a_thread_that_computes_is_busy_and_one_that_waits_is_not() -> None:
    before_s = thread_busy_s()
    end_s = time.thread_time() + 0.2
    while time.thread_time() < end_s:
        pass
    computed_s = thread_busy_s() - before_s
    assert computed_s >= 0.19
    before_s = thread_busy_s()
    await asyncio.sleep(0.5)
    assert thread_busy_s() - before_s < 0.4


def test_a_servers_standing_is_that_of_all_bundles_together() -> None:
    one = {"a:1": ServerReport(ready=True, outstanding=3, frames=10), "b:1": ServerReport(ready=True)}
    two = {"a:1": ServerReport(ready=False, ejected=True, outstanding=1, frames=5, failures=2)}
    assert merged([one, two]) == {
        "a:1": ServerReport(ready=True, ejected=True, outstanding=4, frames=15, failures=2),
        "b:1": ServerReport(ready=True),
    }


@pytest.mark.parametrize(("now_s", "waited_s"), [(12.5, 2.5), (10.0, 0.0), (9.994, 0.0)])
def test_an_entry_that_came_after_the_clock_was_read_has_waited_for_no_time(now_s: float, waited_s: float) -> None:
    assert Taken(arrived_ms=0.0, arrived_s=10.0, read_s=10.1, forged=None).waited_s(now_s) == waited_s
