"""What orders networks, and which of them no other beats."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from narrows.models.search.ranking import kendall_tau, pareto, tau_interval

POINTS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=24)


@given(POINTS)
def test_a_front_is_what_no_point_beats_and_every_other_point_is_beaten_by_it(points: list[tuple[int, int]]) -> None:
    kept = [points[place] for place in pareto(points)]

    def beats(one: tuple[int, int], other: tuple[int, int]) -> bool:
        return one != other and one[0] <= other[0] and one[1] <= other[1]

    assert len(set(kept)) == len(kept)
    assert not any(beats(one, other) for one, other in itertools.permutations(kept, 2))
    for point in points:
        assert point in kept or any(beats(one, point) for one in kept)
    assert kept == sorted(kept)


def test_tau_counts_pairs_in_the_same_order() -> None:
    assert kendall_tau([1, 2, 3, 4], [1, 2, 3, 4]) == 1
    assert kendall_tau([1, 2, 3, 4], [4, 3, 2, 1]) == -1
    assert kendall_tau([1, 2, 3, 4], [1, 2, 4, 3]) == pytest.approx(4 / 6)
    assert kendall_tau([1, 2, 3], [1, 1, 2]) == pytest.approx(2 / math.sqrt(6))
    assert math.isnan(kendall_tau([1, 1], [1, 2]))
    with pytest.raises(ValueError, match="2 figures beside 3"):
        kendall_tau([1, 2], [1, 2, 3])


def test_an_interval_holds_the_tau_and_is_wide_for_few_networks() -> None:
    some = [0.1, 0.4, 0.2, 0.7, 0.5, 0.9, 0.3, 0.8, 0.6, 1.0, 1.2, 1.1]
    other = [0.2, 0.3, 0.1, 0.8, 0.4, 1.0, 0.5, 0.6, 0.7, 0.9, 1.1, 1.2]
    low, high = tau_interval(some, other)
    assert 0 < low < kendall_tau(some, other) <= high <= 1
    assert tau_interval([1, 2, 3, 4], [1, 2, 4, 3])[0] == -1, "one draw in 18 is of the wrong pair alone"
    fewer_low, _ = tau_interval(some[:5], other[:5])
    assert fewer_low < low
    with pytest.raises(ValueError, match="no interval"):
        tau_interval([1, 2], [1, 2])
