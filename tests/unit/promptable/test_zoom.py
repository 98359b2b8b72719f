"""The window of a point: larger while the mask is cut off, smaller for a speck, and never the same one twice."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from narrows.runtime.prompting import Point, Prompt, Window
from narrows.runtime.prompting.segmenter import PromptSegmenter
from narrows.runtime.prompting.zoom import find_window, steadiness

LADDER = tuple(Window.at((500, 500), side) for side in (60, 135, 300, 680))
Logits = NDArray[np.float32]


def _square(half: float) -> Callable[[Window], Logits]:
    """A thing of ``2 half`` pixels a side in the middle of all windows, outlined without fault in each."""

    def run(window: Window) -> Logits:
        places = window.x + (np.arange(96) + 0.5) * window.side / 96
        inside = np.abs(places - 500) < half
        return np.where(inside[:, None] & inside, np.float32(5), np.float32(-5))

    return run


def _counted(run: Callable[[Window], Logits]) -> tuple[list[float], Callable[[Window], Logits]]:
    sides: list[float] = []

    def counting(window: Window) -> Logits:
        sides.append(window.side)
        return run(window)

    return sides, counting


@pytest.mark.parametrize(
    ("half", "looked_at", "found"),
    [
        (40, [135], 135),
        (80, [135, 300], 300),
        (200, [135, 300, 680], 680),
        (400, [135, 300, 680], 680),  # larger than any window
        (12, [135, 60], 60),
        (2, [135, 60], 60),  # a speck in every window
        (22, [135], 135),
        (19, [135, 60], 60),
    ],
)
def test_the_window_follows_the_mask(half: float, looked_at: list[float], found: float) -> None:
    sides, run = _counted(_square(half))
    look = find_window(LADDER, run)
    assert (sides, look.window.side, look.passes) == (looked_at, found, len(looked_at))


def test_between_a_window_that_cuts_and_one_that_shows_a_speck_the_steadier_is_taken() -> None:
    whole = _square(40)

    def run(window: Window) -> Logits:
        if window.side == 135:
            return np.full((96, 96), 5, np.float32)
        logits = whole(window)
        return logits if window.side > 135 else np.full_like(logits, -5)

    sides, counting = _counted(run)
    assert find_window(LADDER, counting).window.side == 300
    assert sides == [135, 300]


def test_where_nothing_is_seen_the_rest_of_the_windows_is_looked_at() -> None:
    large = _square(150)

    def run(window: Window) -> Logits:
        return large(window) if window.side == 680 else np.full((96, 96), -5, np.float32)

    look = find_window(LADDER, run)
    assert (look.window.side, look.passes) == (680, 4)
    nothing = find_window(LADDER, lambda _: np.full((96, 96), -5, np.float32))
    assert nothing.passes == 4
    assert not (nothing.logits > 0).any()


@given(st.lists(st.sampled_from([-5.0, 0.5, 5.0]), min_size=4, max_size=4), st.integers(1, 4))
def test_no_window_is_looked_at_twice_whatever_is_said(levels: list[float], count: int) -> None:
    sides, run = _counted(lambda window: np.full((96, 96), levels[LADDER.index(window)], np.float32))
    look = find_window(LADDER[:count], run)
    assert len(sides) == len(set(sides)) == look.passes <= count
    assert look.window in LADDER[:count]


def test_a_mask_cut_off_by_the_window_is_less_steady_than_one_within_it() -> None:
    inside, across = np.full((96, 96), -5, np.float32), np.full((96, 96), -5, np.float32)
    inside[30:60, 30:60] = 5
    across[30:60, 60:] = 5
    assert steadiness(inside) == 1
    assert steadiness(across) < 0.95
    assert steadiness(np.full((96, 96), -5, np.float32)) == 0


def test_an_unsure_mask_is_less_steady() -> None:
    logits = np.full((96, 96), -5, np.float32)
    logits[30:60, 30:60] = 0.5
    logits[40:50, 40:50] = 5
    assert steadiness(logits) == pytest.approx(100 / 900)


def test_a_point_is_looked_at_until_a_window_fits_and_then_once_with_its_box() -> None:
    def middle(_: NDArray[np.uint8]) -> Logits:
        logits = np.full((96, 96), -5, np.float32)
        logits[20:76, 20:76] = 5
        return logits

    found = PromptSegmenter(middle, 96).look(np.zeros((480, 640, 3), np.uint8), Prompt(points=(Point(320, 240),)))
    assert found.passes == 2
    assert found.window.side == pytest.approx(0.135 * 640 * 56 / 96 * 1.3)
