"""Claims about load against streams."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.telemetry.load_line import (
    MOST_COUNTS,
    POINTS_A_COUNT,
    SETTLED_S,
    LoadLine,
    LoadPoint,
    Offer,
    Offers,
    fit_line,
)


def points(*pairs: tuple[int, float]) -> list[LoadPoint]:
    return [LoadPoint(streams, load) for streams, load in pairs]


@settings(deadline=None)
@given(slope=st.floats(0.001, 0.5), intercept=st.floats(-0.2, 0.4), counts=st.sets(st.integers(1, 2000), min_size=2))
def test_points_on_a_line_give_that_line(slope: float, intercept: float, counts: set[int]) -> None:
    line = fit_line(points(*((n, intercept + slope * n) for n in counts)))
    assert line is not None
    assert line.slope == pytest.approx(slope, rel=1e-6)
    assert line.intercept == pytest.approx(intercept, abs=1e-6)
    assert line.capacity_streams == pytest.approx((1 - intercept) / slope, rel=1e-4)
    assert not line.through_zero


def test_noise_is_averaged_out() -> None:
    line = fit_line(points((10, 0.18), (10, 0.22), (20, 0.38), (20, 0.42)))
    assert line is not None
    assert line.capacity_streams == pytest.approx(50)


def test_one_count_of_streams_gives_a_line_through_zero_that_says_so() -> None:
    line = fit_line(points((4, 0.19), (4, 0.21)))
    assert line is not None
    assert line.through_zero
    assert line.capacity_streams == pytest.approx(20)


def test_without_streams_there_is_no_line() -> None:
    assert fit_line([]) is None
    assert fit_line(points((0, 0.0), (0, 0.0))) is None


@pytest.mark.parametrize("loads", [(0.3, 0.3), (0.4, 0.2)])
def test_a_line_that_does_not_rise_reaches_no_capacity(loads: tuple[float, float]) -> None:
    line = fit_line(points((1, loads[0]), (2, loads[1])))
    assert line is not None
    assert line.capacity_streams is None


def feed(offers: Offers, streams: int, begin_s: float, seconds: int, bundle: str = "aa") -> list[bool]:
    return [offers.add(Offer(begin_s + i, streams, 5.0 * streams, bundle)) for i in range(seconds)]


def test_points_count_once_the_number_of_streams_has_settled() -> None:
    offers = Offers()
    assert not any(feed(offers, 3, 0, int(SETTLED_S * 0.8)))
    assert all(feed(offers, 3, SETTLED_S, 5))
    assert not any(feed(offers, 4, 20, int(SETTLED_S)))
    assert all(feed(offers, 4, 20 + SETTLED_S + 1, 5))
    assert {point.streams for point in offers.points("aa", 100.0)} == {3, 4}


def test_an_hour_at_one_count_does_not_push_out_another() -> None:
    offers = Offers()
    feed(offers, 2, 0, 30)
    feed(offers, 5, 30, 3000)
    counts = [point.streams for point in offers.points("aa", 100.0)]
    assert counts.count(2) == POINTS_A_COUNT
    assert counts.count(5) == POINTS_A_COUNT


def test_what_is_older_than_an_hour_is_forgotten_and_the_rest_is_bounded() -> None:
    offers = Offers()
    for n in range(MOST_COUNTS + 20):
        feed(offers, 1000 + n, 20 * n, 20)
    assert len({point.streams for point in offers.points("aa", 100.0)}) <= MOST_COUNTS
    feed(offers, 7, 10_000, 60)
    assert {point.streams for point in offers.points("aa", 100.0)} == {7}


def test_what_was_offered_is_a_load_of_the_capacity_that_there_is() -> None:
    offers = Offers()
    feed(offers, 2, 0, 30)
    feed(offers, 4, 30, 30)
    capacity_streams = {}
    for capacity in (100.0, 200.0):
        line = fit_line(offers.points("aa", capacity))
        assert line is not None
        capacity_streams[capacity] = line.capacity_streams
    assert capacity_streams == {100.0: pytest.approx(20), 200.0: pytest.approx(40)}


def test_another_bundle_makes_another_line() -> None:
    offers = Offers()
    feed(offers, 3, 0, 30, "aa")
    assert offers.points("bb", 100.0) == []


def test_the_confidence_is_that_of_least_squares() -> None:
    line = fit_line(points((1, 1.0), (2, 2.0), (3, 2.0), (4, 3.0)))  # by hand: slope 0.6, residuals -0.1 0.3 -0.3 0.1
    assert line is not None
    assert line.points == 4
    assert line.slope_error == pytest.approx((0.2 / 2 / 5) ** 0.5)
    assert line.r_squared == pytest.approx(1 - 0.2 / 2)
    assert line.load_of(10) == pytest.approx(6.5)


def test_a_line_through_zero_knows_its_error_and_no_share() -> None:
    line = fit_line(points((4, 0.19), (4, 0.21)))
    assert line is not None
    assert line.slope_error == pytest.approx((0.0002 / 1 / 32) ** 0.5)
    assert math.isnan(line.r_squared)
    assert math.isnan(LoadLine(0.1, 0.0, through_zero=True).slope_error)
