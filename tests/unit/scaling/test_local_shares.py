"""How a target is shared out among hosts."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from orchestrator.scaling.engines.instances import count_instances, with_instances
from orchestrator.scaling.engines.local import share_out

hosts = st.dictionaries(st.sampled_from("abcdef"), st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1)


@given(hosts, st.integers(0, 60))
def test_the_shares_add_up_fit_and_move_no_more_than_they_must(places: dict[str, tuple[int, int]], target: int) -> None:
    slots = {name: slots for name, (_, slots) in places.items()}
    had = {name: min(had, slots[name]) for name, (had, _) in places.items()}
    assume(target <= sum(slots.values()))
    shares = share_out(target, had, slots)
    assert sum(shares.values()) == target
    assert all(0 <= shares[name] <= slots[name] for name in slots)
    moved = sum(abs(shares[name] - had[name]) for name in slots)
    assert moved == abs(target - sum(had.values()))


def test_more_than_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="3 servers in 2 slots"):
        share_out(3, {}, {"a": 2})


def test_a_new_one_goes_where_most_is_free() -> None:
    assert share_out(4, {"a": 2, "b": 1}, {"a": 4, "b": 4}) == {"a": 2, "b": 2}


@given(st.lists(st.integers(0, 3), min_size=1, max_size=3), st.integers(1, 40))
def test_groups_have_the_target_or_as_little_more_as_their_gpus_allow(gpus: list[int], target: int) -> None:
    groups = [{"kind": "KIND_GPU" if n else "KIND_CPU", "count": 1, "gpus": list(range(n))} for n in gpus]
    config = {"name": "decoder", "parameters": {"reloaded": {"string_value": "7"}}, "instance_group": groups}
    changed = with_instances(config, target)
    total = count_instances(changed)
    assert total >= target
    assert total <= max(target, len(gpus)) + sum(max(1, n) - 1 for n in gpus)
    assert [{**group, "count": 1} for group in changed["instance_group"]] == groups
    assert {**changed, "instance_group": groups} == config
