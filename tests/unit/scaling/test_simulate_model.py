"""The model of the simulator: frames are conserved, servers take their time, violations are counted as defined."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.scaling.simulate.policy_name import PolicyName
from orchestrator.scaling.simulate.queues import Queues
from orchestrator.scaling.simulate.run import Loss, simulate
from orchestrator.scaling.simulate.scaler import SimulatedLoad, SimulatedTarget, WindowMean
from orchestrator.scaling.simulate.scalers import make_scaler
from orchestrator.scaling.simulate.servers import Servers
from orchestrator.scaling.simulate.trace import Trace
from orchestrator.scaling.simulate.world import World

QUIET = World(noise=0.0)


class Fixed:
    """Never changes anything."""

    interval_s = 10.0

    def __init__(self, servers: int) -> None:
        self.servers = servers
        self.seen: list[SimulatedLoad] = []

    def look(self, seen: SimulatedLoad) -> SimulatedTarget:
        self.seen.append(seen)
        return SimulatedTarget(self.servers)


def steady(streams: int, length_s: int, fps: float = 5.0) -> Trace:
    return Trace("steady", tuple(map(float, range(length_s))), (streams,) * length_s, (fps,) * length_s)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 1000), st.floats(0, 5000), st.floats(0, 5000)), min_size=1, max_size=60),
    st.sampled_from([0.0, 0.2, 0.9]),
    st.sampled_from([0.25, 1.0, 3.0]),
)
def test_every_frame_is_done_skipped_or_waits(
    steps: list[tuple[int, float, float]], complete_share: float, step_s: float
) -> None:
    queues = Queues(World(complete_share=complete_share, step_s=step_s))
    room = 0.0
    for number, (streams, offered, capacity) in enumerate(steps):
        queues.step(streams, offered, capacity, number * step_s)
        room += capacity * step_s
    total = queues.done + queues.skipped + queues.waiting
    assert total == pytest.approx(queues.arrived, rel=1e-9, abs=1e-6)
    assert queues.done <= room * (1 + 1e-9) + 1e-6
    assert min(queues.done, queues.skipped, queues.waiting, queues.worst_age_s) >= 0
    assert queues.violating_stream_s <= sum(s for s, _, _ in steps) * step_s


@pytest.mark.parametrize("name", list(PolicyName))
def test_a_whole_run_conserves_frames_and_repeats_itself(name: PolicyName) -> None:
    streams = tuple(60 if n < 60 or n > 200 else 500 for n in range(300))
    trace = Trace("hump", tuple(map(float, range(300))), streams, (5.0,) * 300)
    world = World(seed=3)
    first = simulate(trace, world, make_scaler(name, world, {}))
    assert first.done + first.skipped + first.waiting == pytest.approx(first.arrived)
    assert first == simulate(trace, world, make_scaler(name, world, {}))


def test_enough_servers_violate_nothing_and_cost_what_they_occupy() -> None:
    outcome = simulate(steady(100, 3600), QUIET, Fixed(7))
    assert outcome.violating_stream_seconds == 0
    assert outcome.replica_hours == pytest.approx(7.0)
    assert outcome.decisions == 0
    assert outcome.worst_backlog_age_s == 0


@pytest.mark.parametrize(("replaced_s", "away_s"), [(100.0, 20), (200.0, 120)])
def test_lost_servers_are_replaced_by_the_engine_as_soon_as_there_is_room(replaced_s: float, away_s: int) -> None:
    loss = Loss(at_s=100.0, share=1 / 3, replaced_s=replaced_s)
    course = simulate(steady(100, 400), QUIET, Fixed(9), course_every_s=1.0, loss=loss).course
    whole = course[50].capacity_per_s
    assert course[101].capacity_per_s == pytest.approx(whole * 2 / 3)
    assert sum(each.capacity_per_s < whole * 0.99 for each in course[50:]) == pytest.approx(away_s, abs=2)


def test_too_few_violate_for_every_realtime_stream_and_let_the_complete_ones_wait() -> None:
    rate = QUIET.server_frames_per_s(QUIET.useful_instances)
    outcome = simulate(steady(100, 600), QUIET, Fixed(4))  # 500 frames/s for 416
    assert outcome.done == pytest.approx(4 * rate * 600)
    # the first seconds fill what may wait within the SLO; from then on all 80 realtime streams are late
    assert 80 * 597 <= outcome.violating_stream_seconds <= 80 * 600
    assert outcome.waiting == pytest.approx(600 * (100 - 4 * rate * 0.2) + 400 * QUIET.slo_s, rel=0.01)
    assert outcome.worst_backlog_age_s == pytest.approx(600 * (100 - 4 * rate * 0.2) / 100, abs=2)


def test_one_per_cent_late_is_within_the_slo_and_two_is_not() -> None:
    for share, violating in ((0.009, False), (0.02, True)):
        queues = Queues(World(complete_share=0.0))
        for number in range(200):
            queues.step(10, 100.0, 100.0 * (1 - share), float(number))
        assert (queues.violating_stream_s > 0) is violating


def test_a_server_takes_its_time_to_come_and_its_slot_to_be_free() -> None:
    servers = Servers(World(startup_s=20.0, drain_s=10.0), 1)
    servers.scale(3, 0.0)
    ready = []
    for now_s in range(30):
        servers.step(float(now_s))
        ready.append(servers.ready)
    assert ready == [1] * 20 + [3] * 10
    assert servers.occupied_s == 90
    servers.scale(1, 30.0)
    assert (servers.ready, servers.draining) == (1, 2)
    for now_s in range(30, 50):
        servers.step(float(now_s))
    assert servers.occupied_s == 90 + 20 + 2 * 10


def test_who_still_starts_goes_before_who_works() -> None:
    servers = Servers(World(), 2)
    servers.scale(5, 0.0)
    servers.scale(3, 5.0)
    assert (servers.ready, servers.starting, servers.draining) == (2, 1, 0)


def test_the_scaler_sees_what_happened() -> None:
    fixed = Fixed(5)
    simulate(steady(60, 300), QUIET, fixed)
    last, before = fixed.seen[-1], fixed.seen[-2]
    assert (last.offered_frames - before.offered_frames) / 10 == pytest.approx(300.0)
    load = 300 / (5 * QUIET.server_frames_per_s(2))
    busy = (last.busy_server_s - before.busy_server_s) / (last.ready_server_s - before.ready_server_s)
    assert busy == pytest.approx(min(1.0, load * QUIET.lone_cost))
    assert last.server_frames_per_s == {2: pytest.approx(104.0)}


def test_utilisation_saturates_early_and_batches_grow_with_the_load() -> None:
    world = World(lone_cost=5.0, max_batch=8)
    assert world.busy_share(0.2) == 1.0
    assert world.batch(0.1) == 1.0
    assert 1.0 < world.batch(0.8) < 8.0
    assert world.batch(1.0) == 8.0
    assert world.in_flight(1.0) == pytest.approx(1.5 * 8)
    batches = [world.batch(n / 50) for n in range(51)]
    assert batches == sorted(batches)


def test_useful_instances_are_those_that_bring_ten_per_cent() -> None:
    assert World(instance_gains=(1.0, 1.3, 1.36)).useful_instances == 2
    assert World(instance_gains=(1.0, 1.05)).useful_instances == 1
    assert World(instance_gains=(1.0, 1.9, 2.7)).useful_instances == 3


def test_a_window_mean_forgets_what_is_older() -> None:
    mean = WindowMean(10.0)
    found = [mean.note(float(t), 5.0 * min(t, 20) + 50.0 * max(0, t - 20)) for t in range(0, 42, 2)]
    assert found[1] == 5.0
    assert found[-1] == 50.0


def test_a_hundred_thousand_streams_are_as_much_work_as_a_hundred() -> None:
    world = World(max_servers=10_000)
    looks = [Fixed(n) for n in (10, 10_000)]
    for fixed, streams in zip(looks, (100, 100_000), strict=True):
        outcome = simulate(steady(streams, 200), world, fixed)
        assert math.isfinite(outcome.done)
    assert len(looks[0].seen) == len(looks[1].seen)
