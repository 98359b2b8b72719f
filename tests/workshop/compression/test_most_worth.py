"""Which channels stay of groups that share a cost."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from narrows.models.compression.pruning import Group, keep_most_worth

GROUPS = st.lists(
    st.tuples(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=40), st.floats(0.001, 0.1)),
    min_size=1,
    max_size=4,
)


def group(matters: list[float], cost: float, least: int = 8, at_once: int = 1) -> Group:
    return Group(torch.tensor(matters), cost, least, at_once)


def test_the_least_worth_for_its_cost_goes_first() -> None:
    dear, cheap = group([0.1, 0.4, 0.2, 0.3], 0.1, 1), group([0.05, 0.01], 0.01, 1)
    kept = keep_most_worth([dear, cheap], 0.21)
    assert [each.tolist() for each in kept] == [[1, 3], [0]]


@given(GROUPS, st.floats(0, 1), st.sampled_from([1, 4, 8, 16]))
def test_what_stays_is_a_multiple_or_all_and_is_worth_most(
    groups: list[tuple[list[float], float]], share: float, at_once: int
) -> None:
    kept = keep_most_worth([group(matters, cost, at_once=at_once) for matters, cost in groups], share)
    for (matters, _), places in zip(groups, kept, strict=True):
        stay = set(places.tolist())
        assert len(stay) % at_once == 0 or len(stay) == len(matters)
        assert len(stay) >= min(8, len(matters))
        gone = [each for place, each in enumerate(matters) if place not in stay]
        assert min(matters[place] for place in stay) >= max(gone, default=0.0)


@given(GROUPS, st.floats(0, 1), st.sampled_from([1, 4, 8, 16]))
def test_as_much_goes_as_was_asked_for_or_as_can(
    groups: list[tuple[list[float], float]], share: float, at_once: int
) -> None:
    kept = keep_most_worth([group(matters, cost, at_once=at_once) for matters, cost in groups], share)
    gone = sum(cost * (len(matters) - len(places)) for (matters, cost), places in zip(groups, kept, strict=True))
    least = at_once * -(-8 // at_once)
    assert gone >= share - 1e-6 or all(len(places) in range(least + 1) for places in kept if len(places) >= least)
