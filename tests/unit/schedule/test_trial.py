"""A design of larger packets than the link took of late is tried with one frame, and stays if that frame was quick."""

from __future__ import annotations

from dataclasses import replace

import pytest

from narrows.contract.schedule import Conditions, Constraints, Objective, Planner, Reason
from narrows.contract.schedule.link_shape import LinkShape
from tests.unit.schedule.scenes import design, planner, table

SMALL, LARGE = design("small", 0.58, 1_500, 0.01), design("large", 0.27, 20_000, 0.01)
HOPEFUL = Conditions(750_000.0, 0.04, tried_bytes=2_250.0)
"""Small packets pass at once, and nothing is known of large ones."""
THIN = replace(HOPEFUL, shape=LinkShape(((1_500.0, 1_500.0), (20_000.0, 750_000.0)), 37.5))
"""A large packet takes a second."""
LOOK_S = 0.1


def at_small(constraints: Constraints | None = None) -> Planner:
    """On a thin link; both heads were run."""
    found = planner(Objective.THROUGHPUT, constraints, SMALL, LARGE)
    found.took("small", 0.58, 0.0, 0.0)
    found.took("large", 0.27, 0.0, 0.0)
    assert found.plan(THIN, 0.0).chosen.design == SMALL
    return found


def tried(found: Planner, seen: Conditions = HOPEFUL) -> float:
    """Until the large one is offered; when."""
    for look in range(1, 100):
        decision = found.plan(seen, look * LOOK_S)
        if decision.chosen.design == LARGE:
            assert (decision.reason, decision.switched) == (Reason.TRIED, True)
            return look * LOOK_S
    raise AssertionError("never")


def test_the_one_before_goes_on_until_the_frame_that_is_tried_has_crossed_and_the_better_one_stays() -> None:
    found = at_small()
    now_s = tried(found)
    found.took("large", 0.27, 0.0, now_s + 0.27)
    waits = [found.plan(HOPEFUL, now_s + 0.3 + n * LOOK_S) for n in range(20)]
    assert {each.chosen.design for each in waits} == {SMALL}
    assert waits[0].reason == Reason.NOT_YET
    decision = found.plan(replace(HOPEFUL, tried_bytes=30_000.0), now_s + 2.5)
    assert (decision.chosen.design, decision.reason) == (LARGE, Reason.BETTER)


def test_what_took_too_long_is_left_and_not_tried_again_while_that_is_known() -> None:
    found = at_small()
    now_s = tried(found)
    found.took("large", 0.27, 0.0, now_s + 0.27)
    assert found.plan(HOPEFUL, now_s + 0.3).chosen.design == SMALL
    crossed = replace(THIN, tried_bytes=30_000.0)
    after = [found.plan(crossed, now_s + 1.5 + n * LOOK_S) for n in range(50)]
    assert {each.chosen.design for each in after} == {SMALL}
    assert after[-1].reason == Reason.NOT_YET


def test_a_frame_that_was_not_coded_yet_is_still_offered_and_withdrawn_if_the_link_turns_out_thin() -> None:
    found = at_small()
    now_s = tried(found)
    assert {found.plan(HOPEFUL, now_s + n * LOOK_S).chosen.design for n in range(1, 30)} == {LARGE}
    assert found.plan(THIN, now_s + 3.1).chosen.design == SMALL


def test_a_packet_that_never_arrives_ends_the_trial_and_another_may_begin() -> None:
    found = at_small()
    now_s = tried(found)
    found.took("large", 0.27, 0.0, now_s + 0.27)
    seen = [found.plan(HOPEFUL, now_s + 0.3 + n * LOOK_S).chosen.design for n in range(130)]
    assert set(seen[:99]) == {SMALL}
    assert LARGE in seen[100:]


def test_what_the_link_took_of_late_needs_no_trial_nor_does_a_smaller_packet() -> None:
    found = at_small()
    known = replace(HOPEFUL, tried_bytes=30_000.0)
    reasons = {found.plan(known, n * LOOK_S).reason for n in range(1, 40)}
    assert reasons == {Reason.FIRST, Reason.BETTER}
    back = [found.plan(replace(THIN, tried_bytes=2_250.0), 4.0 + n * LOOK_S) for n in range(1, 40)]
    assert (back[-1].chosen.design, back[-1].reason) == (SMALL, Reason.BETTER)


def test_costly_scenes_count_for_what_is_larger() -> None:
    found = at_small()
    seen = replace(HOPEFUL, tried_bytes=25_000.0, size_ratio=1.5)
    assert tried(found, seen)


@pytest.mark.parametrize("how", ["pin", "other designs"])
def test_a_pin_or_other_designs_end_a_trial(how: str) -> None:
    found = at_small()
    now_s = tried(found)
    if how == "pin":
        found.took("large", 0.27, 0.0, now_s)
        found.pin("small")
        assert found.plan(HOPEFUL, now_s + 0.1).reason == Reason.PINNED
        found.pin(None)
        after = [found.plan(HOPEFUL, now_s + 0.2 + n * LOOK_S) for n in range(3)]
        assert {(each.chosen.design, each.reason) for each in after} == {(LARGE, Reason.UNPINNED)}
    else:
        found.choose_among(table(LARGE, SMALL))
        assert found.plan(HOPEFUL, now_s + 0.1).reason != Reason.NOT_YET
        found.took("large", 0.27, 0.0, now_s + 0.3)


def test_who_breaks_a_constraint_does_not_wait_for_a_trial() -> None:
    found = at_small(Constraints(most_latency_s=0.5))
    decision = found.plan(HOPEFUL, 1.0)
    for look in range(1, 30):
        decision = found.plan(HOPEFUL, 1.0 + look * LOOK_S)
        if decision.switched:
            break
    assert (decision.chosen.design, decision.reason) == (LARGE, Reason.CONSTRAINT)
    assert found.plan(HOPEFUL, 9.0).chosen.design == LARGE


def test_a_design_that_comes_to_break_a_constraint_is_not_held_on_to_for_a_trial() -> None:
    found = at_small(Constraints(most_latency_s=1.0))
    now_s = tried(found)
    found.took("large", 0.27, 0.0, now_s + 0.27)
    assert found.plan(HOPEFUL, now_s + 0.3).reason == Reason.NOT_YET
    loaded = replace(HOPEFUL, device_load=0.5)
    decisions = [found.plan(loaded, now_s + 0.4 + n * LOOK_S) for n in range(10)]
    assert (decisions[-1].chosen.design, decisions[-1].reason) == (LARGE, Reason.CONSTRAINT)


def test_a_frame_of_another_design_that_was_begun_before_is_not_the_one_that_is_tried() -> None:
    found = at_small()
    now_s = tried(found)
    found.took("small", 0.58, 0.0, now_s + 0.05)
    assert found.plan(HOPEFUL, now_s + LOOK_S).chosen.design == LARGE
