"""Pins, reasons and explanations."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from narrows.contract.errors import DesignUnknown, RecordError
from narrows.contract.schedule import (
    Conditions,
    Constraints,
    Decision,
    Explanation,
    Hysteresis,
    Objective,
    Planner,
    PlanTable,
    Reason,
)
from narrows.contract.schedule import explain as explained
from narrows.contract.schedule.conditions import PRIOR_BYTES_PER_S
from narrows.contract.schedule.objective import ABOUT_THE_SAME, first
from tests.unit.schedule.scenes import AWAY, EARLY, FAST, LATE, SLOW, design, planner, table


def ready(objective: Objective = Objective.LATENCY, constraints: Constraints | None = None) -> Planner:
    found = planner(objective, constraints)
    found.took("early", EARLY.device_s or 0, 0.0, 0.0)
    return found


def explanation(found: Planner, seen: Conditions, now_s: float = 0.0) -> Explanation:
    return explained(found, found.plan(seen, now_s), now_s, 1_767_225_600_000)


def best_of(found: Planner, seen: Conditions) -> str:
    considered = found.consider(seen)
    return considered[first([each.rank for each in considered])].design.name


def with_value(seen: Conditions, name: str, value: float) -> Conditions:
    fields: dict[str, Any] = {name: value}
    return replace(seen, **fields)


def test_the_first_plan_is_there_at_once_and_is_no_switch_later() -> None:
    found = ready()
    first, second = found.plan(FAST, 0.0), found.plan(FAST, 1.0)
    assert (first.switched, first.reason) == (True, Reason.FIRST)
    assert (second.switched, second.chosen.design, second.since_s) == (False, first.chosen.design, 0.0)


def test_a_device_of_which_nothing_is_known_is_asked_for_little_at_first() -> None:
    unknown = [design(f"at {n}", None, 40_000 / (n + 1), 0.02, macs=n * 10**9) for n in range(5)]
    found = planner(Objective.LATENCY, None, *unknown)
    assert found.plan(Conditions(30_000.0), 0.0).chosen.design.name == "at 0"
    assert found.plan(Conditions(30_000.0), 3.0).best.design.name == "at 2"


def test_a_pinned_design_stays_whatever_is_measured() -> None:
    found = ready()
    found.plan(FAST, 0.0)
    found.pin("late")
    decisions = [found.plan(seen, float(n)) for n, seen in enumerate((FAST, SLOW, AWAY, FAST), start=1)]
    assert {each.chosen.design.name for each in decisions} == {"late"}
    assert [each.switched for each in decisions] == [True, False, False, False]
    assert {each.reason for each in decisions} == {Reason.PINNED}


def test_an_unpinned_planner_takes_the_best_at_once() -> None:
    found = ready()
    found.pin("late")
    found.plan(FAST, 0.0)
    found.pin(None)
    decision = found.plan(FAST, 0.1)
    assert (decision.chosen.design.name, decision.reason, decision.switched) == ("picture", Reason.UNPINNED, True)


def test_pinning_what_the_table_does_not_have_is_refused_by_name() -> None:
    with pytest.raises(DesignUnknown, match="'nowhere'"):
        ready().pin("nowhere")


def test_heads_of_designs_that_the_table_does_not_have_are_left_out() -> None:
    found = planner()
    found.took("nowhere", 1.0, 0.0, 0.0)
    assert not found.speed.measured


def test_an_explanation_names_the_choice_the_reason_and_the_next_best() -> None:
    said = explanation(ready(), FAST)
    assert (said.chosen.design, said.reason, said.objective) == ("picture", "first plan", Objective.LATENCY)
    assert said.next_best is not None
    assert said.next_best.design == "early"
    assert said.designs == ("device", "early", "late", "picture")
    assert said.device_factor == pytest.approx(1.0)


@pytest.mark.parametrize("seen", [FAST, SLOW, AWAY, Conditions(), replace(SLOW, cloud_load=0.7, device_load=0.3)])
@pytest.mark.parametrize("objective", Objective)
def test_what_would_change_the_choice_does_and_not_before(objective: Objective, seen: Conditions) -> None:
    found = ready(objective)
    said = explanation(found, seen)
    best = best_of(found, seen)
    for change in said.changes:
        assert change.design != best
        there = with_value(seen, change.what, change.value)
        assert best_of(found, there) == change.design
        known = getattr(seen, change.what)
        now = known if known < math.inf else PRIOR_BYTES_PER_S
        nearly = with_value(seen, change.what, change.value + 0.01 * (now - change.value))
        assert best_of(found, nearly) == best


def test_a_slow_link_is_told_at_which_goodput_fewer_bytes_would_not_be_needed() -> None:
    above = [
        each
        for each in explanation(ready(), SLOW).changes
        if (each.what, each.side) == ("goodput_bytes_per_s", "above")
    ]
    assert [each.design for each in above] == ["early"]
    of_late = 1 / (1 + ABOUT_THE_SAME)  # it has fewer bytes
    crossing = (EARLY.link_bytes - of_late * LATE.link_bytes) / (of_late * (0.3 + 0.02 + 0.02) - 0.05 - 0.08 - 0.02)
    assert above[0].value == pytest.approx(crossing, rel=1e-3)


def test_an_explanation_says_which_constraints_no_design_keeps() -> None:
    said = explanation(ready(constraints=Constraints(most_latency_s=0.001)), SLOW)
    assert said.broken == ("latency",)


def test_an_explanation_survives_the_way_through_redis() -> None:
    for seen in (FAST, AWAY, Conditions(temperature_c=71.5)):
        said = explanation(ready(), seen)
        assert Explanation.parse(said.to_json()) == said


def test_a_table_survives_too_and_two_designs_of_one_name_are_refused() -> None:
    assert PlanTable.parse(table().to_json()) == table()
    with pytest.raises(RecordError, match="two designs are called 'late'"):
        PlanTable.parse(table(LATE, EARLY, LATE).to_json())


def test_a_table_without_designs_is_refused() -> None:
    empty = PlanTable("0" * 64, "mIoU", ())
    with pytest.raises(RecordError, match="designs"):
        PlanTable.parse(empty.to_json())


def test_among_other_designs_a_pin_is_let_go_and_what_was_learned_stays() -> None:
    found = ready()
    found.pin("picture")
    assert found.plan(FAST, 0.0).chosen.design.name == "picture"
    worse = (design(name, 9.0, 900_000) for name in ("worse", "worst"))  # so that the pin's number exists
    found.choose_among(table(LATE, EARLY, *worse))
    decision = found.plan(SLOW, 1.0)
    assert (decision.chosen.design.name, decision.reason) == ("late", Reason.WITHDRAWN)
    assert decision.device_measured
    found.choose_among(table(EARLY, LATE))
    kept = found.plan(SLOW, 1.1)
    assert (kept.chosen.design.name, kept.switched) == ("late", False), "what is in use stays where it may"


def test_who_goes_back_to_what_was_pinned_waits_longer_for_the_next_change() -> None:
    def switches(*, unpinned: bool) -> float:
        """When the planner, back at the design that it left, goes away from it again."""
        found = planner(Objective.LATENCY, None, EARLY, LATE)
        found.took("early", 0.05, 0.0, 0.0)
        now_s = 0.0
        found.pin("late" if unpinned else None)
        found.plan(SLOW, now_s)
        found.pin(None)
        seen = FAST
        before = found.plan(seen, now_s).chosen.design.name
        changes: list[float] = []
        while len(changes) < (2 if unpinned else 3) and now_s < 30:
            now_s += 0.05
            seen = FAST if before == "late" else SLOW
            chosen = found.plan(seen, now_s).chosen.design.name
            if chosen != before:
                before = chosen
                changes.append(now_s)
        return changes[-1] - changes[-2]

    assert switches(unpinned=True) == pytest.approx(switches(unpinned=False), abs=0.06)


RUSH = replace(FAST, cloud_load=0.97)


def switches(found: Planner, loads: dict[range, Conditions]) -> list[int]:
    """The seconds at which another design took over."""
    seen = {second: conditions for seconds, conditions in loads.items() for second in seconds}
    return [second for second in sorted(seen) if found.plan(seen[second], float(second)).switched][1:]


def test_a_rush_is_worked_off_where_only_a_rate_is_asked_for() -> None:
    rush = {range(30): FAST, range(30, 45): RUSH, range(45, 90): FAST}
    assert switches(ready(Objective.THROUGHPUT), rush) == []
    bounded = {seconds: replace(seen, most_on_their_way=4) for seconds, seen in rush.items()}
    assert switches(ready(Objective.THROUGHPUT, Constraints(most_latency_s=2.0)), rush)
    assert switches(ready(Objective.THROUGHPUT), bounded)
    assert switches(ready(Objective.LATENCY), rush)


def test_a_load_that_lasts_is_left_where_only_a_rate_is_asked_for() -> None:
    left = switches(ready(Objective.THROUGHPUT), {range(30): FAST, range(30, 300): RUSH})
    assert 45 < left[0] < 180
    assert len(left) <= 2


def through_an_outage(found: Planner, behind: Conditions) -> list[Decision]:
    """Five seconds of a wide link, three without one, then a link of some kind: plans ten times a second."""
    times = [(tenth / 10, FAST if tenth < 50 else AWAY if tenth < 80 else behind) for tenth in range(100)]
    return [found.plan(seen, at_s) for at_s, seen in times]


def test_a_link_that_is_back_has_the_design_of_before_at_once() -> None:
    decisions = through_an_outage(planner(Objective.THROUGHPUT), FAST)
    before, away, back = (decisions[tenth] for tenth in (49, 79, 80))
    assert away.chosen != before.chosen
    assert (back.chosen.design, back.reason, back.switched) == (before.chosen.design, Reason.BACK, True)
    assert not any(each.switched for each in decisions[81:])


def test_a_link_that_is_thin_behind_an_outage_keeps_what_is_better_on_it() -> None:
    decisions = through_an_outage(planner(Objective.THROUGHPUT), Conditions(2_000.0, 0.04))
    assert decisions[80].chosen.design == decisions[79].chosen.design
    assert all(each.reason is not Reason.BACK for each in decisions)


def test_a_pin_during_an_outage_outlasts_it() -> None:
    found = planner(Objective.THROUGHPUT)
    for second, seen in enumerate((FAST, AWAY, AWAY, AWAY)):
        found.plan(seen, float(second))
    found.pin(LATE.name)
    found.plan(AWAY, 4.0)
    assert found.plan(FAST, 5.0).reason is Reason.PINNED
    found.pin(None)
    assert found.plan(FAST, 6.0).reason is Reason.UNPINNED
    assert found.plan(FAST, 6.1).reason is Reason.UNPINNED


def test_a_pin_that_was_let_go_is_no_end_of_an_outage() -> None:
    found = planner(Objective.THROUGHPUT)
    for second, seen in enumerate((FAST, AWAY, AWAY, AWAY)):
        found.plan(seen, float(second))
    found.pin(LATE.name)
    found.plan(AWAY, 4.0)
    found.pin(None)
    assert found.plan(SLOW, 5.0).reason is Reason.UNPINNED
    assert found.plan(FAST, 6.0).reason is not Reason.BACK


def test_a_design_that_stays_through_an_outage_is_in_use_for_the_same_reason_as_before() -> None:
    found = planner(Objective.THROUGHPUT, None, LATE)
    assert {each.reason for each in through_an_outage(found, FAST)} == {Reason.FIRST}


def test_an_outage_is_over_once_the_link_was_back() -> None:
    """What the link then does is seen by the hysteresis, as ever."""
    found = planner(Objective.THROUGHPUT)
    through_an_outage(found, FAST)
    later = [found.plan(SLOW if tenth < 50 else FAST, 10 + tenth / 10) for tenth in range(100)]
    assert any(each.switched for each in later)
    assert not any(each.switched and each.reason is Reason.BACK for each in later)


def test_behind_a_very_short_outage_the_return_is_no_closer_to_the_change_than_any_other() -> None:
    found, least_s = planner(Objective.THROUGHPUT), Hysteresis().settings.least_dwell_s
    found.plan(FAST, 0.0)
    left_s = next(n / 20 for n in range(1, 100) if found.plan(AWAY, n / 20).switched)
    looks = (left_s + n / 20 for n in range(1, 100))
    back = next((now_s, decision) for now_s in looks if (decision := found.plan(FAST, now_s)).switched)
    assert back[1].reason is Reason.BACK
    assert least_s <= back[0] - left_s < least_s + 0.06


def test_a_design_that_is_gone_behind_an_outage_is_not_returned_to() -> None:
    found = planner(Objective.THROUGHPUT)
    used = [found.plan(seen, float(second)).chosen.design for second, seen in enumerate((FAST, AWAY, AWAY, AWAY))]
    found.choose_among(table(*(each for each in found.table.designs if each != used[0])))
    assert all(found.plan(FAST, 4.0 + tenth / 10).chosen.design != used[0] for tenth in range(20))


def test_a_load_beyond_a_whole_one_is_forgotten_no_later() -> None:
    """A record may say of servers in demand that ten times their time is asked for, or a billion times."""
    beyond = {range(1): replace(RUSH, cloud_load=1e9), range(1, 120): FAST}
    whole = {range(1): replace(RUSH, cloud_load=1.0), range(1, 120): FAST}
    assert switches(ready(Objective.THROUGHPUT), beyond) == switches(ready(Objective.THROUGHPUT), whole)
