"""The simulator of `make bench-split`: device, link and cloud as the traces say, and who plays on them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from benchmarks.split.figures import render
from benchmarks.split.ours import Ours
from benchmarks.split.rivals.dads import Dads
from benchmarks.split.rivals.dyno import Dyno
from benchmarks.split.rivals.neurosurgeon import Neurosurgeon, Option
from benchmarks.split.rivals.static import Static
from benchmarks.split.scheduler import Scheduler, Seen
from benchmarks.split.simulate import Played, play
from benchmarks.split.simulated_system import SimulatedSystem, SimulationSettings, Timeline
from benchmarks.split.traces import SplitTrace, traces
from benchmarks.split.verdict import verdict
from benchmarks.uplink.traces import Trace
from narrows.contract.schedule import Constraints, Kind, Objective
from tests.unit.schedule.scenes import DEVICE, EARLY, LATE, PICTURE, design, table

SETTINGS = SimulationSettings(quota=0.5)
SEEN = Seen(1.0, 100_000.0, 100_000.0, 0.04, 0.2, 0.0, 0.0, 0.0)
STEADY = SplitTrace(Trace("steady", (2000.0,) * 10), (0.0,) * 10)


def ours(objective: Objective = Objective.THROUGHPUT) -> Ours:
    return Ours(table(), objective, Constraints(), SETTINGS.in_flight)


def played(trace: SplitTrace, scheduler: Scheduler, settings: SimulationSettings = SETTINGS) -> Played:
    return play(SimulatedSystem(trace, settings), scheduler)


def test_work_is_done_at_the_speed_of_each_second() -> None:
    line = Timeline([10.0, 0.0, 20.0], 2)
    assert line.finish_s(0.0, 5.0) == 0.5
    assert line.finish_s(0.5, 10.0) == pytest.approx(2.25)
    assert line.finish_s(5.0, 30.0) == pytest.approx(6.5)  # beyond its end it stays as it was


def test_what_nothing_does_any_more_never_ends() -> None:
    assert Timeline([1.0, 0.0], 1).finish_s(0.5, 1.0) == float("inf")


def test_a_steady_link_carries_what_it_carries() -> None:
    settings = SimulationSettings(quota=1.0, frames_per_s=100.0, in_flight=8)
    found = played(STEADY, Static(design("x", 0.001, 24_000, 0.001)), settings)
    assert found.results_per_s == pytest.approx(240_000 / 24_000, rel=0.03)


def test_a_device_with_a_tenth_of_a_core_takes_ten_times_as_long() -> None:
    found = played(STEADY, Static(DEVICE), SimulationSettings(quota=0.1, repeats=20))
    assert found.results_per_s == pytest.approx(1 / 5, rel=0.1)


def test_a_cloud_in_demand_holds_results_up() -> None:
    calm, rush = traces()[1], traces()[6]
    assert played(rush, Static(PICTURE)).results_per_s < 0.8 * played(calm, Static(PICTURE)).results_per_s
    assert played(rush, Static(DEVICE)).results_per_s == pytest.approx(
        played(calm, Static(DEVICE)).results_per_s, rel=0.1
    )


def test_losses_leave_what_tcp_makes_of_them() -> None:
    lossy = SimulatedSystem(traces()[5], SETTINGS).link.at(0)
    assert 70_000 < lossy < 100_000 < SimulatedSystem(traces()[1], SETTINGS).link.at(0)


@pytest.mark.parametrize("trace", traces(), ids=lambda trace: trace.name)
def test_no_frame_is_lost_and_all_is_the_same_again(trace: SplitTrace) -> None:
    first, second = played(trace, ours()), played(trace, ours())
    assert first.lost == 0
    assert first == second
    assert all(frame.captured_s < frame.done_s for frame in first.frames)


def test_another_seed_is_another_run() -> None:
    assert played(STEADY, ours()) != played(STEADY, ours(), replace(SETTINGS, seed=1))


def test_ours_keeps_near_the_best_static_design_where_nothing_changes() -> None:
    for trace in (each for each in traces() if not each.changes):
        best = max(played(trace, Static(each)).results_per_s for each in table().designs)
        assert played(trace, ours()).results_per_s >= 0.95 * best


def test_ours_does_the_network_on_the_device_while_the_link_is_away() -> None:
    away = SplitTrace(Trace("away", (2000.0,) * 5 + (0.0,) * 15 + (2000.0,) * 5), (0.0,) * 25)
    found = played(away, ours(), replace(SETTINGS, repeats=1))
    during = [frame for frame in found.frames if 8 < frame.captured_s < 19]
    assert {frame.design.name for frame in during} == {"device"}
    assert any(frame.design.kind is not Kind.DEVICE_ONLY for frame in found.frames if frame.captured_s > 21)


def test_a_head_that_runs_is_left_for_another_design_and_its_frame_is_not_lost() -> None:
    """The link is back while a head of seconds runs on the device."""
    away = SplitTrace(Trace("away", (2000.0,) * 3 + (0.0,) * 9 + (2000.0,) * 13), (0.0,) * 25)
    slow = replace(SETTINGS, quota=0.05, repeats=1)
    found = played(away, ours(), slow)
    alone_s = (DEVICE.device_s or 0) / slow.quota
    left = [frame for frame in found.frames if frame.captured_s < 12 < frame.captured_s + alone_s]
    assert any(frame.design.kind is not Kind.DEVICE_ONLY for frame in left)


def test_nobody_begins_blindly_with_what_a_thin_link_takes_minutes_for() -> None:
    raw = design("raw", 0.001, 3_000_000, 0.001)
    for rival in (Dads((raw, DEVICE), 0.5, 10.0), Dyno((raw, DEVICE), Objective.LATENCY, 0.5)):
        assert {frame.design.name for frame in played(traces()[0], rival).frames} == {"device"}


def test_neurosurgeon_takes_the_least_predicted_sum() -> None:
    options = [Option(each, each.device_s or 0, each.server_s) for each in (DEVICE, EARLY, LATE, PICTURE)]
    assert Neurosurgeon(options, 1.0).choose(SEEN) is LATE
    assert Neurosurgeon(options, 1.0).choose(replace(SEEN, latest_bytes_per_s=1e7)) is PICTURE
    assert Neurosurgeon(options, 0.01).choose(SEEN) is PICTURE


def test_dads_takes_the_least_sum_while_frames_are_few_and_the_fastest_stage_otherwise() -> None:
    quick = design("quick", 0.16, 16_000, 0.16)  # the greater sum, the lesser stage
    few, many = (Dads((LATE, quick), 1.0, frames_per_s) for frames_per_s in (1.0, 10.0))
    assert few.choose(SEEN) is LATE
    assert many.choose(SEEN) is quick


def test_dyno_strives_for_what_it_is_asked_for() -> None:
    quick = design("quick", 0.16, 16_000, 0.16)
    assert Dyno((LATE, quick), Objective.LATENCY, 1.0).choose(SEEN) is LATE
    assert Dyno((LATE, quick), Objective.THROUGHPUT, 1.0).choose(SEEN) is quick


def test_dyno_scales_its_profile_by_what_heads_take() -> None:
    found = Dyno((DEVICE, EARLY), Objective.LATENCY, 1.0)
    assert found.choose(replace(SEEN, latest_bytes_per_s=130_000.0)) is DEVICE
    for n in range(20):
        found.head_took(DEVICE, 2.0, float(n))
    assert found.choose(replace(SEEN, latest_bytes_per_s=130_000.0)) is EARLY


def scores(ours: float, static: float, dads: float, dyno: float) -> dict[str, dict[str, float]]:
    values = {
        "ours": ours, "best static in hindsight": static, "device only": 0.5, "server only": 2.0,
        "Neurosurgeon": 0.1, "DADS": dads, "DynO": dyno, "DynO, our coder": 0.1,
    }  # fmt: skip
    return {name: {"median": value} for name, value in values.items()}


def two_traces_rows() -> list[dict[str, Any]]:
    return [
        {"trace": "a", "changes": False, "frames_lost": 0, "scores": scores(3.0, 4.0, 2.0, 1.0)},
        {"trace": "b", "changes": True, "frames_lost": 1, "scores": scores(6.0, 4.0, 2.0, 5.0)},
    ]


def two_traces() -> dict[str, Any]:
    return verdict([{"network": "n", "objective": "throughput", "traces": two_traces_rows()}])


def test_the_figures_say_which_aims_are_missed() -> None:
    lines = render({"simulated": two_traces()}).splitlines()
    assert [line.split("|")[-2].strip() for line in lines[4:11]] == [
        "**missed**", "met", "met", "met", "met", "met", "**missed**"
    ]  # fmt: skip


def test_a_miss_that_a_single_run_met_is_said_to_be_within_the_scatter_and_the_real_part_leads() -> None:
    found = two_traces() | {"intervals": {"worst_against_best_static": [0.6, 0.96], "frames_lost": [1, 2]}}
    rows = [{**row, "best_static_design": "static: x", "switches": 2} for row in two_traces_rows()]
    runs = [{"network": "n", "objective": "throughput", "traces": rows}]
    lines = render(
        {**found, "runs": runs, "runs_of_each": [1, 3], "at_once": 2, "simulated": two_traces()}
    ).splitlines()
    assert lines[0] == "**The real stack**, medians of 1 to 3 runs of each, 2 cameras at a time:"
    assert "0.6 to 0.96" in lines[4]
    assert lines[4].split("|")[-2].strip() == "missed, within the scatter of single runs"
    assert lines[10].split("|")[-2].strip() == "**missed**"
    assert lines.index("**Simulated**:") > 10


def test_the_verdict_is_by_the_worst_and_the_mean() -> None:
    found = two_traces()
    assert found["worst_against_best_static"] == 0.75
    assert found["mean_gain_on_changing_traces"] == 1.5
    assert found["throughput_over_device_only"] == 9.0
    assert found["mean_gain_over_best_rival"] == 1.5
    assert found["worst_against_best_rival"] == pytest.approx(6 / 5)
    assert found["frames_lost"] == 1
