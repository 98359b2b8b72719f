import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from benchmarks.autoscale.__main__ import judge
from benchmarks.autoscale.curves import Point, dominates, front, hours_at
from benchmarks.autoscale.grids import RIVALS, settings_of
from benchmarks.autoscale.pictures import draw_courses, draw_fronts
from benchmarks.autoscale.traces import MAKERS
from benchmarks.autoscale.trials import Points
from orchestrator.scaling.simulate.policy_name import PolicyName
from orchestrator.scaling.simulate.run import simulate
from orchestrator.scaling.simulate.scalers import make_scaler
from orchestrator.scaling.simulate.trace import read_trace, write_trace
from orchestrator.scaling.simulate.world import World


def point(violations: float, hours: float) -> Point:
    return Point(violations, hours, 1, 0.0)


CURVE = [point(1000, 10), point(500, 12), point(100, 20), point(600, 15), point(100, 30)]


def test_the_front_leaves_out_what_another_beats() -> None:
    assert front(CURVE) == [point(1000, 10), point(500, 12), point(100, 20)]


def test_a_rival_dominates_only_where_it_is_better_in_both() -> None:
    ours = point(100, 10)
    assert dominates(point(99, 9.9), ours)
    assert not dominates(point(100, 9), ours)
    assert not dominates(point(0, 10), ours)


def test_between_two_settings_a_line_and_beyond_the_last_nothing() -> None:
    assert hours_at(CURVE, 300) == 16
    assert hours_at(CURVE, 500) == 12
    assert hours_at(CURVE, 100) == 20
    assert hours_at(CURVE, 99) is None
    assert hours_at(CURVE, 5000) == 10


def alike() -> Points:
    """Every rival with the same two settings on every trace, and ours between them."""
    points = {(name, rival): [point(200, 20), point(100, 40)] for name in MAKERS for rival in RIVALS}
    return points | {(name, PolicyName.NARROWS): [point(150, 15)] for name in MAKERS}


def test_the_claims_are_what_the_points_say() -> None:
    points = alike()
    points["step-x10", PolicyName.HPA] = [point(100, 10), point(100, 40)]
    points["sawtooth", PolicyName.KEDA] = [point(1000, 1), point(900, 2)]
    found = judge(points)
    assert found["pareto_front"] == {name: name != "step-x10" for name in MAKERS}
    claim = found["replica_hours_saved_at_equal_violations"]
    assert claim["not_reached"] == ["sawtooth: keda"]
    assert claim["pairs"] == len(MAKERS) * len(RIVALS) - 1
    assert claim["by_rival"]["knative"] == pytest.approx(0.5)
    assert claim["mean"] == pytest.approx((0.5 * (claim["pairs"] - 1) - 0.5) / claim["pairs"])


def test_one_setting_for_all_traces_is_the_cheapest_with_no_more_violations_in_total() -> None:
    points = alike()
    points["step-x10", PolicyName.HPA] = [point(100, 10), point(100, 40)]  # best here, but not in total
    found = judge(points)["one_setting_for_all_traces"]
    assert found["rivals"]["hpa"]["replica_hours"] == 40 * len(MAKERS)
    assert found["pareto_front"] == dict.fromkeys(MAKERS, True)
    assert found["pareto_front_in_total"]
    assert found["saved_in_total"]["knative"] == pytest.approx(0.5)


@pytest.mark.parametrize("name", MAKERS)
def test_a_trace_is_the_same_for_the_same_seed_and_survives_its_file(name: str, tmp_path: Path) -> None:
    trace = MAKERS[name](3)
    assert trace == MAKERS[name](3)
    assert trace.name == name
    write_trace(trace, tmp_path / f"{name}.csv")
    assert read_trace(tmp_path / f"{name}.csv") == trace


@pytest.mark.parametrize("rival", RIVALS)
def test_every_setting_of_the_grid_is_one_that_the_rival_has(rival: PolicyName) -> None:
    world = World()
    tried = settings_of(rival, world)
    assert tried[0] == {}
    assert len(tried) > 50
    for parameters in tried:
        make_scaler(rival, world, parameters)


def test_the_pictures_are_well_formed(tmp_path: Path) -> None:
    world = World()
    points = {(name, policy): [point(2e4, 30), point(0, 50)] for name in MAKERS for policy in PolicyName}
    draw_fronts(tmp_path / "fronts.svg", points)
    outcome = simulate(MAKERS["step-x10"](1), world, make_scaler(PolicyName.HPA, world, {}), course_every_s=60.0)
    draw_courses(tmp_path / "courses.svg", [("step", outcome)])
    for path in tmp_path.glob("*.svg"):
        assert ET.parse(path).getroot().tag.endswith("svg")
