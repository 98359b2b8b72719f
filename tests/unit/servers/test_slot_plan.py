"""Which slots change: never more servers than slots, nothing that works goes while something else can."""

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.servers.slot_plan import COMING, Change, SlotPhase, plan

phases = st.lists(st.sampled_from(SlotPhase), max_size=12)


def applied(slots: list[SlotPhase], change: Change) -> list[SlotPhase]:
    after = list(slots)
    for i in change.start:
        after[i] = SlotPhase.STARTING
    for i in change.resume:
        after[i] = SlotPhase.READY
    for i in change.drain:
        after[i] = SlotPhase.DRAINING if slots[i] is SlotPhase.READY else SlotPhase.STOPPING
    return after


@given(phases, st.integers(0, 20))
def test_as_many_come_as_are_wanted_and_can(slots: list[SlotPhase], target: int) -> None:
    change = plan(slots, target)
    coming = sum(phase in COMING for phase in applied(slots, change))
    stopping = slots.count(SlotPhase.STOPPING)
    assert coming == min(target, len(slots) - stopping)


@given(phases, st.integers(0, 20))
def test_only_free_slots_start_and_only_draining_ones_are_taken_back(slots: list[SlotPhase], target: int) -> None:
    change = plan(slots, target)
    assert all(slots[i] is SlotPhase.FREE for i in change.start)
    assert all(slots[i] is SlotPhase.DRAINING for i in change.resume)
    assert all(slots[i] in COMING for i in change.drain)
    assert not (change.drain and (change.start or change.resume))


@given(phases, st.integers(0, 20))
def test_a_plan_that_was_followed_asks_for_nothing_more(slots: list[SlotPhase], target: int) -> None:
    assert plan(applied(slots, plan(slots, target)), target) == Change()


def test_what_does_not_work_goes_first() -> None:
    slots = [SlotPhase.READY, SlotPhase.STARTING, SlotPhase.READY, SlotPhase.DOWN, SlotPhase.FAILED]
    assert plan(slots, 4).drain == (4,)
    assert plan(slots, 3).drain == (4, 1)
    assert plan(slots, 2).drain == (4, 1, 3)
    assert plan(slots, 1).drain == (4, 1, 3, 2)


def test_a_draining_server_is_taken_back_before_another_is_started() -> None:
    assert plan([SlotPhase.FREE, SlotPhase.DRAINING, SlotPhase.READY], 2) == Change(resume=(1,))
    assert plan([SlotPhase.FREE, SlotPhase.DRAINING, SlotPhase.READY], 3) == Change(start=(0,), resume=(1,))
