"""The age of the backlog as a signal: what many streams have, not what one has."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.dispatch.shared_age import shared_age_s

AGES_S = st.lists(st.floats(0, 1e6), max_size=12)


@pytest.mark.parametrize(
    ("ages_s", "active", "signal_s"),
    [
        ([], 0, 0.0),
        ([], 9, 0.0),
        ([7.0], 1, 7.0),
        ([7.0, 3.0], 2, 7.0),
        ([7.0], 3, 0.0),
        ([900.0, 0.2, 0.1], 3, 0.2),
        ([4.0, 5.0, 6.0], 3, 5.0),
    ],
)
def test_among_three_streams_none_sets_the_age_alone(ages_s: list[float], active: int, signal_s: float) -> None:
    assert shared_age_s(ages_s, active) == signal_s


@given(AGES_S, st.floats(0, 1e9))
def test_one_stream_more_moves_the_age_to_another_streams_at_most(ages_s: list[float], liar_s: float) -> None:
    active = len(ages_s) + 1
    signal_s = shared_age_s([*ages_s, liar_s], active)
    if active > 2:
        assert signal_s <= max(ages_s, default=0.0)
        assert signal_s >= shared_age_s(ages_s, active)
