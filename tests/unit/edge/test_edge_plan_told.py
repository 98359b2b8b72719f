"""When a camera says which design it uses, and what it does where it may not."""

from __future__ import annotations

import time

import pytest
from redis.exceptions import NoPermissionError, ReadOnlyError, ResponseError

from edge_client.planning.settings import constraints_of
from edge_client.stats import Tally
from edge_client.transport.line import CommandReply
from edge_client.transport.questions import Question, Questions
from edge_client.transport.server_clock import ServerClockEstimate
from narrows.contract.errors import ConfigError
from narrows.contract.schedule import Conditions, Constraints, Explanation, explain
from narrows.contract.wire import StreamKeys
from tests.unit.schedule.scenes import planner

KEYS = StreamKeys.of("cam-1", 4)


def explanation(at_ms: int) -> Explanation:
    found = planner()
    return explain(found, found.plan(Conditions(), 0.0), 0.0, at_ms)


class Camera:
    """Questions on a clock that the test moves."""

    def __init__(self) -> None:
        self.now_s, self.tally = 0.0, Tally()
        self.said: Explanation | None = None
        clock = ServerClockEstimate(lambda: self.now_s, time.time)
        clock.refused()
        self.questions = Questions(KEYS, clock, self.tally, lambda: self.now_s, plan=lambda: self.said)

    def tells(self, seconds: float, refusal: ResponseError | None = None) -> list[tuple[str | bytes | int, ...]]:
        found, until_s = [], self.now_s + seconds
        while self.now_s < until_s:
            while (question := self.questions.due()) is not None:
                command = self.questions.command(question)
                mine = question is Question.PLAN
                if mine:
                    found.append(command)
                reply = CommandReply(question, self.now_s, self.now_s, refusal if mine else None)
                self.questions.answered(question, reply)
            self.now_s += 0.25
        return found


def test_each_explanation_is_told_once_soon_and_no_more_than_one_a_second() -> None:
    camera = Camera()
    assert camera.tells(3) == []
    camera.said = explanation(1)
    assert camera.tells(3) == [("XADD", KEYS.plan, "MAXLEN", 1, "*", b"p", camera.said.to_json())]
    for at_ms in range(2, 8):
        camera.said = explanation(at_ms)
        camera.tells(0.25)
    assert len(camera.tells(3)) == 1


def test_who_may_not_say_it_says_so_once_and_sends_frames_all_the_same() -> None:
    camera = Camera()
    camera.said = explanation(1)
    assert len(camera.tells(3, NoPermissionError("no permissions"))) == 1
    camera.said = explanation(2)
    assert camera.tells(30) == []
    (reason,) = camera.tally.snapshot().link_failures
    assert reason.startswith("plan_")
    lost = Camera()
    lost.said = explanation(1)
    with pytest.raises(ReadOnlyError):
        lost.tells(1, ReadOnlyError("READONLY"))


def test_what_was_said_is_said_again_where_another_server_may_answer_or_it_was_not_taken() -> None:
    camera = Camera()
    camera.said = explanation(1)
    said = camera.tells(3)
    camera.questions.forget()
    assert camera.tells(3) == said
    camera.said = explanation(2)
    assert len(camera.tells(3, NoPermissionError("no permissions"))) == 1
    assert len(camera.tells(70)) == 1


def test_constraints_are_named_as_the_planner_names_them() -> None:
    assert constraints_of(["least_accuracy=0.9", "most_memory_bytes=64e6"]) == Constraints(0.9, 64_000_000)
    assert constraints_of([]) == Constraints()
    for wrong in ("accuracy=1", "least_accuracy", "least_accuracy=much", "most_latency_s=0", "most_latency_s=nan"):
        with pytest.raises(ConfigError, match="--constraint"):
            constraints_of([wrong])
