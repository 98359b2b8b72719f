"""What packets of other sizes count for."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from narrows.contract.schedule import Conditions
from narrows.contract.schedule.conditions import estimate
from narrows.contract.schedule.link_shape import IN_PROPORTION, LinkShape
from tests.unit.schedule.scenes import design

BUCKET = LinkShape(((1_500.0, 1_500.0), (20_000.0, 400_000.0)), 20.0)
steps = st.lists(st.tuples(st.floats(1, 1e5), st.floats(0, 1e6)), min_size=1, max_size=5)


def shapes(found: list[tuple[float, float]], beyond: float) -> LinkShape:
    points, size, counted = [], 0.0, 0.0
    for more, longer in found:
        size, counted = size + more, counted + longer
        points.append((size, counted))
    return LinkShape(tuple(points), beyond)


def test_without_points_a_byte_is_a_byte() -> None:
    assert [IN_PROPORTION.counts_for(each) for each in (0.0, 1.0, 5e6)] == [0.0, 1.0, 5e6]


def test_below_the_first_point_it_is_in_proportion_between_points_on_a_line_and_beyond_by_the_byte() -> None:
    assert BUCKET.counts_for(750) == 750
    assert BUCKET.counts_for(1_500) == 1_500
    assert BUCKET.counts_for((1_500 + 20_000) / 2) == pytest.approx((1_500 + 400_000) / 2)
    assert BUCKET.counts_for(20_100) == pytest.approx(400_000 + 2_000)


def test_a_design_takes_as_long_as_what_its_packets_count_for_at_the_goodput() -> None:
    seen = Conditions(800_000.0, shape=BUCKET, size_ratio=2.0)
    assert estimate(design("large", 0.0, 10_000, 0.0), 0.0, 0.0, seen).latency_s == pytest.approx(0.5)
    assert estimate(design("small", 0.0, 600, 0.0), 0.0, 0.0, seen).latency_s == pytest.approx(1_200 / 800_000)
    away = Conditions(0.0, shape=BUCKET)
    assert estimate(design("large", 0.0, 10_000, 0.0), 0.0, 0.0, away).latency_s > 1e5


def test_what_a_packet_that_waits_has_shown_is_the_least_of_it_and_of_larger_ones() -> None:
    raised = BUCKET.at_least(10_000, 900_000.0)
    assert raised.counts_for(10_000) == 900_000
    assert raised.counts_for(1_500) == 1_500
    assert raised.counts_for(20_000) == 900_000
    assert raised.counts_for(21_000) > 900_000
    assert BUCKET.at_least(20_000, 400_000.0) is BUCKET
    assert IN_PROPORTION.at_least(1_000, 5_000.0).counts_for(2_000) == 10_000


@given(steps, st.floats(0, 100), st.floats(0, 2e6), st.floats(0, 2e6))
def test_a_larger_packet_never_counts_for_less(
    found: list[tuple[float, float]], beyond: float, one: float, other: float
) -> None:
    shape = shapes(found, beyond)
    less, more = (shape.counts_for(size) for size in sorted((one, other)))
    assert less <= more * (1 + 1e-9) + 1e-6


@given(steps, st.floats(0, 100), st.floats(1, 2e6), st.floats(0, 1e9), st.floats(0, 2e6))
def test_to_say_that_a_packet_takes_so_long_makes_none_quicker_and_it_no_quicker_than_that(
    found: list[tuple[float, float]], beyond: float, size: float, counted: float, other: float
) -> None:
    shape = shapes(found, beyond)
    raised = shape.at_least(size, counted)
    assert raised.counts_for(size) >= counted * (1 - 1e-9)
    if other >= size:
        assert raised.counts_for(other) >= shape.counts_for(other) * (1 - 1e-9) - 1e-6
    assert math.isfinite(raised.counts_for(other))
