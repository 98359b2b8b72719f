"""What a cluster without a place for more teaches, with a clock that the test turns."""

import pytest

from orchestrator.scaling.engines.slots import LearnedSlots
from orchestrator.scaling.replicas import CapacityExhausted


class Turned:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_nothing_is_known_before_one_found_no_place() -> None:
    slots = LearnedSlots()
    assert slots.note(4, 0) is None
    slots.check(50, 4)


def test_a_full_cluster_is_remembered_while_the_waiting_one_is_taken_back() -> None:
    clock = Turned()
    slots = LearnedSlots(300, clock)
    assert slots.note(4, 1) == 4
    clock.now_s += 299
    assert slots.note(4, 0) == 4  # nobody waits any more
    with pytest.raises(CapacityExhausted, match="4 fit"):
        slots.check(5, 4)
    slots.check(4, 5)
    slots.check(3, 4)
    clock.now_s += 2
    assert slots.note(4, 0) is None
    slots.check(5, 4)


def test_what_was_asked_for_already_may_be_repeated_and_fewer_pass() -> None:
    slots = LearnedSlots()
    slots.note(4, 2)
    slots.check(6, 6)
    slots.check(5, 6)
    with pytest.raises(CapacityExhausted):
        slots.check(7, 6)


def test_more_places_than_thought_are_believed() -> None:
    slots = LearnedSlots()
    slots.note(2, 1)
    assert slots.note(3, 0) is None
