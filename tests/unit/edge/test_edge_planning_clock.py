"""A camera that plans, with its meter and governor, at clocks of years: they begin far ahead, and leap while it runs.

Times are those of ``time.monotonic``, which does not go back, whoever sets the machine's clock. It may begin anywhere,
and leap ahead where a machine is halted and goes on.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from narrows.contract.bundle import SplitBundle
from narrows.contract.schedule import Explanation, Objective
from tests.unit.edge.edge_link_model import Link
from tests.unit.edge.planning_camera import PlanningCamera, bundle_of_two_cuts

DAY_S = 86_400.0
CENTURY_S = 36_525 * DAY_S
SETTLED_S, WATCHED_S = 15.0, 20.0
links = st.sampled_from([9_000.0, 60_000.0, 1_000_000.0])
objectives = st.sampled_from([Objective.LATENCY, Objective.THROUGHPUT])
moments = st.one_of(st.just(0.0), st.floats(1e-3, 60.0), st.floats(60.0, 30 * DAY_S), st.floats(DAY_S, CENTURY_S))
small_and_fast = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> SplitBundle:
    return bundle_of_two_cuts(tmp_path_factory.mktemp("bundle"))


def camera(bundle: SplitBundle, rate: float, objective: Objective, begins_s: float) -> PlanningCamera:
    link = Link(lambda _: rate, burst_bytes=2_000)
    return PlanningCamera(bundle, link, objective=objective, now_s=begins_s)


def what_it_does(playing: PlanningCamera) -> tuple[float, float]:
    """Results a second, and the share of frames at the large cut, once it has settled."""
    begun_s = playing.now_s
    playing.play(begun_s + SETTLED_S + WATCHED_S)
    watched = begun_s + SETTLED_S, begun_s + SETTLED_S + WATCHED_S
    said = playing.stage.explanation
    assert said is not None
    assert Explanation.parse(said.to_json()) == said, "whoever reads it would refuse it"
    return playing.results_per_s(*watched), playing.shares(*watched)[0]


@small_and_fast
@given(links, objectives, moments)
def test_a_camera_that_was_booted_long_ago_does_what_a_new_one_does(
    bundle: SplitBundle, rate: float, objective: Objective, begins_s: float
) -> None:
    new, old = (what_it_does(camera(bundle, rate, objective, at_s)) for at_s in (0.0, begins_s))
    assert old == pytest.approx(new, rel=0.1, abs=0.05)


@small_and_fast
@given(links, objectives, st.lists(moments, min_size=1, max_size=3))
def test_a_camera_whose_clock_leaps_ahead_goes_on_as_before_within_seconds(
    bundle: SplitBundle, rate: float, objective: Objective, leaps_s: list[float]
) -> None:
    playing = camera(bundle, rate, objective, 0.0)
    before = what_it_does(playing)
    for leap_s in leaps_s:
        playing.leap(leap_s)
        coded = len(playing.frames)
        playing.play(playing.now_s + 2.0)
        assert len(playing.frames) > coded, "it stands still"
    assert what_it_does(playing) == pytest.approx(before, rel=0.25, abs=0.1)
