"""What ``narrows split explain`` prints of a camera's explanation."""

from __future__ import annotations

from dataclasses import replace

import pytest
from msgspec.structs import replace as with_fields

from narrows.cli.split_plan import lines
from narrows.client.registry.plans import PlanSeen
from narrows.contract.errors import RecordError
from narrows.contract.schedule import Conditions, Constraints, Explanation, Objective, explain
from tests.unit.schedule.scenes import SLOW, planner


def told(
    pinned: str | None, age_s: float, seen: Conditions = SLOW, constraints: Constraints | None = None
) -> list[str]:
    found = planner(Objective.LATENCY, constraints)
    said = explain(found, found.plan(seen, 0.0), 2.0, 1_767_225_600_000)
    return list(lines("gate-3", PlanSeen(pinned, said, age_s), said))


def test_the_design_the_reason_what_was_measured_and_what_would_change_it_are_said() -> None:
    text = "\n".join(told(None, 3.0))
    assert text.startswith("gate-3 uses late, for 5 s: first plan (objective: latency)")
    assert "measured   link 20,000 bytes/s, round trip 40 ms, device load 0%, cloud load 0%" in text
    assert "device not measured yet" in text
    assert "next best  early: latency 3500 ms" in text
    assert "another    early, with the link above 311,241 bytes/s" in text
    assert "designs    device; early; late; picture" in text
    assert text.endswith("said       3 s ago")


def test_a_camera_that_does_not_follow_its_pin_or_is_silent_is_named() -> None:
    text = "\n".join(told("early", 60.0))
    assert "operator   pinned to early\n             which it does not use" in text
    assert "60 s ago: it sleeps" in text
    assert "which it does not use" not in "\n".join(told("late", 1.0))


def test_what_has_no_end_and_what_no_design_keeps_is_said() -> None:
    text = "\n".join(told(None, 1.0, Conditions(), Constraints(most_latency_s=1e-6)))
    assert "link not measured yet" in text
    assert "broken     latency" in text


def test_what_heads_take_and_frames_beside_them_is_said_once_one_was_run() -> None:
    found = planner(Objective.LATENCY, None)
    seen = replace(SLOW, overhead_s=0.0126)
    found.plan(seen, 0.0)
    found.took(found.table.designs[0].name, 0.2, 0.0, 1.0)
    said = explain(found, found.plan(seen, 2.0), 2.0, 1_767_225_600_000)
    text = "\n".join(lines("gate-3", PlanSeen(None, said, 1.0), said))
    assert "x as long as by the table, a frame takes 13 ms beside them" in text


def test_words_without_end_are_no_explanation() -> None:
    """What a camera writes is shown on a page and in terminals."""
    found = planner(Objective.LATENCY, None)
    said = explain(found, found.plan(SLOW, 0.0), 2.0, 1_767_225_600_000)
    for longer in (
        with_fields(said, reason="x" * 257),
        with_fields(said, broken=("latency",) * 17),
        with_fields(said, changes=said.changes[:1] * 17),
        with_fields(said, designs=tuple(map(str, range(513)))),
    ):
        assert Explanation.parse(said.to_json()) == said
        with pytest.raises(RecordError):
            Explanation.parse(longer.to_json())
