"""What `make bench-scale` makes of its samples."""

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from benchmarks.scale.account import WINDOW_S, lost, recent, relative_error, rises, streams_at
from benchmarks.scale.plot import Panel, draw, ticks


@given(st.floats(0, 200), st.integers(1, 100))
def test_cameras_are_from_one_to_the_most(at_s: float, most: int) -> None:
    assert 1 <= streams_at(at_s, up_s=30, hold_s=10, down_s=20, most=most) <= most


def test_cameras_come_stay_and_go() -> None:
    at = [streams_at(s, up_s=10, hold_s=10, down_s=10, most=11) for s in (0, 5, 10, 20, 25, 30, 99)]
    assert at == [1, 6, 11, 11, 6, 1, 1]


def test_only_the_last_seconds_count() -> None:
    p95_ms, rate = recent([(0.0, 9.0), (10.0 - WINDOW_S, 9.0), (6.0, 0.1), (10.0, 0.1)], 10.0)
    assert p95_ms == pytest.approx(100)
    assert rate == 2 / WINDOW_S
    assert recent([], 10.0) == (None, 0.0)


def test_each_replica_must_add() -> None:
    assert rises({2: 20.0, 1: 10.0, 3: 20.5})
    assert not rises({1: 10.0, 2: 20.0, 3: 20.0})


def test_what_has_no_mask_is_lost() -> None:
    assert lost(10, {"mask": 10}) == 0
    assert lost(10, {"mask": 7, "skipped": 1, "refused": 1}) == 3


def test_an_error_without_a_measurement_is_none() -> None:
    assert relative_error(1.1, 1.0) == pytest.approx(0.1)
    assert math.isnan(relative_error(1.0, 0.0))
    assert math.isnan(relative_error(1.0, math.nan))


@given(st.floats(1e-6, 1e9))
def test_ticks_reach_beyond_the_most_in_few_steps(most: float) -> None:
    found = ticks(most)
    assert found[0] == 0
    assert found[-1] >= most * (1 - 1e-6)
    assert 2 <= len(found) <= 7


def test_a_picture_of_nothing_and_of_something(tmp_path: Path) -> None:
    panels = [Panel("empty", "s", {"none": []}), Panel("line", "s", {"a": [(0, 0), (1, 2)], "b": [(1, 1)]}, dots=True)]
    with Image.open(draw(panels, tmp_path / "deep" / "scale.png")) as image:  # noqa: TID251
        assert image.size[1] % len(panels) == 0
