"""What a fleet needs follows from measured costs by the rules that docs/scale.md states."""

from dataclasses import asdict, replace

import pytest

from benchmarks.fleet.costs import Costs
from benchmarks.fleet.figures import rows_of
from benchmarks.fleet.sizing import HOURS_A_MONTH, Assumptions, hottest, plan, shards_for
from narrows.contract.wire.install import MAX_SHARDS

COSTS = Costs(
    packet_bytes=500.0,
    waiting_bytes=600.0,
    mask_bytes=750.0,
    redis_frame_ms=0.4,
    dispatcher_frame_ms=2.0,
    decoder_frame_ms=4.0,
    dispatcher_series=600,
    autoscaler_series=150,
    connect_ms=1.0,
)
CHOSEN = Assumptions()


def test_a_thousand_cameras_need_what_their_frames_cost() -> None:
    found = plan(1000, COSTS, CHOSEN)  # 5,000 frames/s: 10 busy cores of dispatchers, 20 of decoders, 2 of Redis
    assert (found.dispatchers, found.decoder_cores) == (15, 30)  # two of three zones do all the work
    assert (found.masters, found.installs, found.shards) == (6, 1, 64)
    assert found.uplink_mbit_s == pytest.approx(20.0)
    assert found.dollars_a_camera == pytest.approx(found.dollars_a_month / 1000)


def test_gpus_are_counted_where_it_is_said_what_one_does() -> None:
    found = plan(1000, COSTS, replace(CHOSEN, gpu_fps=2500.0))  # 2 busy ones, 3 so that a zone may be lost
    assert found.gpus == 3
    saved = (30 * CHOSEN.core_h - 3 * CHOSEN.gpu_h) * HOURS_A_MONTH / 1000
    assert found.dollars_a_camera_with_gpus == pytest.approx(found.dollars_a_camera - saved)
    assert plan(1000, COSTS, CHOSEN).gpus is None


@pytest.mark.parametrize(
    ("gpu_fps", "last"), [(None, "dollars a camera and month"), (2500.0, "dollars a camera and month with them")]
)
def test_rows_of_gpus_are_there_with_their_figures_alone(gpu_fps: float | None, last: str) -> None:
    assert rows_of([asdict(plan(1000, COSTS, replace(CHOSEN, gpu_fps=gpu_fps)))])[-1][0] == last


def test_cores_that_are_to_be_less_busy_are_more() -> None:
    assert plan(1000, COSTS, replace(CHOSEN, load=0.5)).dispatchers == 20


def test_a_fleet_that_outgrows_the_shards_of_one_install_has_several() -> None:
    found = plan(1_000_000, COSTS, CHOSEN)
    assert found.installs > 1
    assert found.shards <= MAX_SHARDS
    assert found.masters / found.installs * CHOSEN.least_shards_a_node <= MAX_SHARDS + CHOSEN.zones * 8
    assert found.dispatchers / found.installs <= MAX_SHARDS * 1.1


@pytest.mark.parametrize(
    ("cameras", "masters", "dispatchers", "shards"),
    [(1, 1, 1, 8), (1200, 1, 1, 8), (2401, 1, 1, 16), (10, 3, 2, 32), (10, 1, 33, 64), (10**7, 1, 1, MAX_SHARDS)],
)
def test_shards_are_a_power_of_two_that_is_enough_for_all_three(
    cameras: int, masters: int, dispatchers: int, shards: int
) -> None:
    assert shards_for(cameras, masters, dispatchers, CHOSEN) == shards


def test_few_shards_lie_unevenly_on_many_nodes() -> None:
    assert hottest(64, 1) == 1.0
    assert hottest(48, 48) > 2 * hottest(48 * 16, 48)


def test_costs_come_from_the_results_of_other_benchmarks() -> None:
    found = Costs.measured(2, 1.5)
    assert found.connect_ms == 1.5
    assert 0 < found.redis_frame_ms < found.dispatcher_frame_ms
    assert Costs.measured(0, 1.5).packet_bytes > found.packet_bytes
