"""The first level: one finer for every two packets that the link took easily, and no finer where it did not."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge_client.slow_start import MARGIN, SlowStart

COARSEST = 4


def needed(level: int) -> float:
    """Bytes a second: each finer level needs half as much again."""
    return 1000.0 * 1.5 ** (COARSEST - level)


def levels_of(speeds: list[float], finest: int = 0) -> list[int]:
    start = SlowStart(COARSEST)
    found = []
    for speed in speeds:
        start.delivered(speed, needed, finest, start.level)
        found.append(start.level)
    return found


def test_a_fast_link_is_climbed_by_a_level_every_two_packets() -> None:
    assert levels_of([1e6] * 10) == [4, 3, 3, 2, 2, 1, 1, 0, 0, 0]


def test_it_ends_at_the_finest_level_that_may_be_used() -> None:
    assert levels_of([1e6] * 8, finest=2) == [4, 3, 3, 2, 2, 2, 2, 2]


def test_a_speed_that_bears_no_finer_level_twice_ends_the_search() -> None:
    start = SlowStart(COARSEST)
    for _ in range(2):
        start.delivered(MARGIN * needed(3) - 1, needed, 0, COARSEST)
    assert (start.level, start.active) == (COARSEST, False)
    start.delivered(1e9, needed, 0, COARSEST)
    assert start.level == COARSEST


def test_a_level_that_turns_out_too_much_is_left_at_once_for_what_fits() -> None:
    fooled = [1e6] * 4
    assert levels_of([*fooled, needed(2) - 1])[-1] == COARSEST
    assert levels_of([*fooled, *fooled, needed(0) - 1])[-1] == 2


def test_packets_of_the_level_before_prove_nothing() -> None:
    start = SlowStart(COARSEST)
    for _ in range(9):
        start.delivered(1e6, needed, 0, COARSEST)
    assert start.level == 3


@given(st.lists(st.floats(1.0, 1e7), max_size=40), st.integers(0, COARSEST))
def test_whatever_the_speeds_no_limit_is_passed_and_the_search_ends(speeds: list[float], finest: int) -> None:
    assert all(finest <= level <= COARSEST for level in levels_of(speeds, finest))
    start = SlowStart(COARSEST)
    for speed in [*speeds, *[1e7] * (2 * COARSEST + 2)]:
        start.delivered(speed, needed, finest, start.level)
    assert not start.active
