"""Who goes first with a new bundle."""

from hypothesis import given
from hypothesis import strategies as st

from narrows.client.registry import canaries

FLEET = [f"cam-{number}" for number in range(1000)]
SHARES = st.floats(0, 1)


@given(SHARES, SHARES)
def test_a_larger_share_has_all_of_a_smaller_one(one: float, other: float) -> None:
    assert set(canaries(FLEET, min(one, other))) <= set(canaries(FLEET, max(one, other)))


@given(SHARES, st.sets(st.sampled_from(FLEET)))
def test_streams_that_go_move_no_other(share: float, gone: set[str]) -> None:
    kept = [stream for stream in FLEET if stream not in gone]
    before, after = set(canaries(FLEET, share)) - gone, set(canaries(kept, share))
    assert before == after or (not before and len(after) <= 1)


def test_it_is_about_the_share_and_at_least_one() -> None:
    assert 70 <= len(canaries(FLEET, 0.1)) <= 130
    assert canaries(FLEET, 1.0) == sorted(FLEET)
    assert canaries(FLEET, 0.0) == canaries([], 0.5) == []
    assert len(canaries(["gate-3"], 0.0001)) == 1
