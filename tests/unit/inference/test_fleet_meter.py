"""The load of several servers from the readings of single ones."""

import math
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from narrows.contract.errors import ServiceError
from orchestrator.inference.cost import BatchTotals
from orchestrator.inference.endpoint import Connection, Endpoint
from orchestrator.inference.fleet_meter import FleetMeter, combined
from orchestrator.inference.load import LoadReading

ONE = LoadReading(0.0, 0.5, 2, 1, 100.0, 0.01, 0.005)
NEW = LoadReading(math.nan, 0.0, 1, 1, math.nan, math.nan, math.nan)


@given(
    st.lists(
        st.builds(
            lambda n, c: replace(ONE, instances=n, capacity_frames_per_s=c), st.integers(1, 9), st.floats(1, 1e4)
        ),
        min_size=1,
    )
)
def test_capacities_and_instances_add_up_and_costs_stay_between_the_least_and_the_most(
    servers: list[LoadReading],
) -> None:
    reading = combined(servers, 50.0)
    assert reading.replicas == len(servers)
    assert reading.instances == sum(each.instances for each in servers)
    assert reading.capacity_frames_per_s == pytest.approx(sum(each.capacity_frames_per_s for each in servers))
    assert reading.load_ratio == pytest.approx(50.0 / reading.capacity_frames_per_s)
    assert reading.busy_ratio == pytest.approx(0.5)
    assert reading.cost_base_s == pytest.approx(0.01)


def test_a_server_that_executed_nothing_yet_counts_as_the_others_do_by_its_instances() -> None:
    assert combined([ONE, NEW], 10.0).capacity_frames_per_s == pytest.approx(150.0)
    assert math.isnan(combined([NEW], 10.0).load_ratio)


def test_without_servers_any_work_is_infinite_load_and_no_work_is_none() -> None:
    assert combined([], 0.1).load_ratio == math.inf
    assert combined([], 0.0).load_ratio == 0.0
    assert combined([], 0.1).replicas == 0


@dataclass
class Statistics:
    """A server's counters; it may be away."""

    max_batch: int = 4
    away: bool = False
    count: int = 1
    totals: dict[int, BatchTotals] = field(default_factory=dict)

    async def batch_totals(self) -> dict[int, BatchTotals]:
        if self.away:
            raise ServiceError("away")
        return dict(self.totals)

    async def instances(self) -> int:
        return self.count


@dataclass
class Pool:
    rotation: list[Endpoint]


class Clock:
    now_s = 10.0

    def __call__(self) -> float:
        return self.now_s


def _endpoint(address: str, server: Statistics) -> Endpoint:
    endpoint = Endpoint(address, 8)
    endpoint.admit(Connection(server), instances=1)  # type: ignore[arg-type]
    return endpoint


async def test_servers_are_read_each_by_itself_and_one_that_is_away_is_left_out() -> None:
    clock = Clock()
    fast, slow = Statistics(count=3), Statistics()
    fast.totals = {4: BatchTotals(10, 10 * 0.1)}
    slow.totals = {4: BatchTotals(10, 10 * 0.4)}
    pool = Pool([_endpoint("a:1", fast), _endpoint("b:1", slow)])
    meter = FleetMeter(pool, clock)
    clock.now_s += 1
    meter.observe_offered(26)
    reading = await meter.poll()
    assert reading.capacity_frames_per_s == pytest.approx(3 * 4 / 0.1 + 4 / 0.4, rel=0.02)
    assert reading.load_ratio == pytest.approx(0.2, rel=0.02)
    assert [endpoint.instances for endpoint in pool.rotation] == [3, 1]
    slow.away = True
    clock.now_s += 1
    meter.observe_offered(26)
    reading = await meter.poll()
    assert (reading.replicas, reading.instances) == (1, 3)
    assert reading.capacity_frames_per_s == pytest.approx(120, rel=0.02)
