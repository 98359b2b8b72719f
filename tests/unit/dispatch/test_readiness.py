"""Who gets shards: those who can decode the most, and no decoder that flickers moves any."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.dispatch.lease import fair_share
from orchestrator.dispatch.readiness import Readiness

NAMES = st.lists(st.text("abc", min_size=1, max_size=3), min_size=1, max_size=6, unique=True)


class Turned:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_who_starts_is_not_ready_until_its_decoder_is() -> None:
    clock = Turned()
    readiness = Readiness(5.0, clock)
    assert readiness.missing({"a": False, "b": False}) == 2
    clock.now_s = 0.1
    assert readiness.missing({"a": True, "b": False}) == 1
    assert readiness.missing({"a": True, "b": True}) == 0


def test_a_decoder_that_is_lost_or_back_counts_after_it_settled() -> None:
    clock = Turned()
    readiness = Readiness(5.0, clock)
    readiness.missing({"a": True})
    seen = []
    for second, ready in enumerate([False] * 4 + [True] + [False] * 6 + [True] * 6):
        clock.now_s = float(second)
        seen.append(readiness.missing({"a": ready}))
    assert seen == [0] * 10 + [1] * 6 + [0]


def test_a_decoder_that_flickers_moves_nothing() -> None:
    clock = Turned()
    readiness = Readiness(5.0, clock)
    readiness.missing({"a": True})
    for second in range(100):
        clock.now_s = float(second)
        assert readiness.missing({"a": second % 4 == 0}) == 0


def test_who_cannot_decode_gets_nothing_while_another_can() -> None:
    assert [fair_share(8, ["a", "b", "c"], name, {"b": 1}) for name in "abc"] == [4, 0, 4]
    assert [fair_share(8, ["a", "b"], name, {"a": 2, "b": 1}) for name in "ab"] == [0, 8]


def test_where_all_lack_as_much_all_share() -> None:
    assert [fair_share(8, ["a", "b"], name, {"a": 1, "b": 1}) for name in "ab"] == [4, 4]


@given(st.integers(1, 64), NAMES, st.data())
def test_every_shard_has_one_who_is_due_it(shards: int, living: list[str], data: st.DataObject) -> None:
    missing = data.draw(st.dictionaries(st.sampled_from(living), st.integers(0, 3)))
    shares = {name: fair_share(shards, living, name, missing) for name in living}
    assert sum(shares.values()) == shards
    least = min(missing.get(name, 0) for name in living)
    assert all(share == 0 for name, share in shares.items() if missing.get(name, 0) > least)
