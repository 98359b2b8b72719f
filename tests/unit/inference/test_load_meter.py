import math
from dataclasses import dataclass, field

import pytest

from orchestrator.inference.cost import BatchCost, BatchTotals
from orchestrator.inference.load import LoadMeter

COST = BatchCost(base_s=0.010, per_frame_s=0.005)


@dataclass
class Clock:
    now_s: float = 100.0

    def __call__(self) -> float:
        return self.now_s


@dataclass
class Statistics:
    """The counters of a server whose batches cost exactly :data:`COST`."""

    max_batch: int = 8
    count: int = 1
    totals: dict[int, BatchTotals] = field(default_factory=dict)

    def execute(self, size: int, times: int) -> None:
        self.totals[size] = self.totals.get(size, BatchTotals()) + BatchTotals(times, times * COST.of(size))

    async def batch_totals(self) -> dict[int, BatchTotals]:
        return dict(self.totals)

    async def instances(self) -> int:
        return self.count


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server() -> Statistics:
    return Statistics()


async def test_before_the_first_batch_the_load_is_unknown_rather_than_zero(server: Statistics, clock: Clock) -> None:
    reading = await LoadMeter(server, clock=clock).poll()
    assert math.isnan(reading.load_ratio)
    assert math.isnan(reading.capacity_frames_per_s)
    assert reading.busy_ratio == 0


@pytest.mark.parametrize("streams", [1, 2, 4, 8])
async def test_the_load_grows_with_the_streams_in_a_straight_line(
    server: Statistics, clock: Clock, streams: int
) -> None:
    meter = LoadMeter(server, clock=clock)
    server.execute(1, 100)
    server.execute(8, 100)
    meter.observe_offered(streams * 15)
    clock.now_s += 1
    reading = await meter.poll()
    assert reading.load_ratio == pytest.approx(streams * 15 * COST.of(8) / 8, rel=0.02)
    assert reading.capacity_frames_per_s == pytest.approx(8 / COST.of(8), rel=0.02)


async def test_more_instances_carry_more(server: Statistics, clock: Clock) -> None:
    meter = LoadMeter(server, clock=clock)
    server.execute(8, 10)
    one = await meter.poll()
    server.count = 4
    four = await meter.poll()
    assert four.instances == 4
    assert four.capacity_frames_per_s == pytest.approx(4 * one.capacity_frames_per_s)


async def test_the_busy_share_is_compute_time_over_the_instances_time(server: Statistics, clock: Clock) -> None:
    server.count = 2
    server.execute(8, 1000)
    meter = LoadMeter(server, clock=clock)
    assert (await meter.poll()).busy_ratio == 0, "what was executed before the first reading has no time span"
    server.execute(8, 20)
    clock.now_s += 2
    assert (await meter.poll()).busy_ratio == pytest.approx(20 * COST.of(8) / (2 * 2))


async def test_frames_of_a_failed_reading_count_in_the_next(server: Statistics, clock: Clock) -> None:
    server.execute(8, 10)
    meter = LoadMeter(server, clock=clock)
    meter.observe_offered(30)
    clock.now_s += 1
    meter.observe_offered(30)
    clock.now_s += 1
    reading = await meter.poll()
    assert reading.load_ratio * reading.capacity_frames_per_s == pytest.approx(30)


async def test_the_batch_of_the_load_is_the_largest_within_the_budget(server: Statistics, clock: Clock) -> None:
    server.execute(1, 100)
    server.execute(8, 100)
    reading = await LoadMeter(server, clock=clock, batch_budget_s=COST.of(4) * 1.01).poll()
    assert reading.capacity_frames_per_s == pytest.approx(4 / COST.of(4), rel=0.02)
