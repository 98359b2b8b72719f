"""When a camera asks for its prompts, when it answers them, and what it does where it may do neither."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs
from redis.exceptions import NoPermissionError, OutOfMemoryError, ReadOnlyError, ResponseError

from edge_client.stats import Tally
from edge_client.transport.line import CommandReply
from edge_client.transport.questions import Question, Questions
from edge_client.transport.remembered import Remembered
from edge_client.transport.server_clock import ServerClockEstimate
from narrows.contract.records.prompts import PromptAnswer, PromptAnswers, PromptList, SourceBox, SourcePrompt
from narrows.contract.records.still import StillRequest
from narrows.contract.wire import StreamKeys

KEYS = StreamKeys.of("cam-1", 4)
ASKED = PromptList(5, (SourcePrompt(1, 5, 64, 48, 10**13, box=SourceBox(1.0, 2.0, 3.0, 4.0)),))


class Camera:
    """A camera's questions on a clock that the test moves; ``asks`` is what they are over some seconds."""

    def __init__(self, *, able: bool = True) -> None:
        self.able, self.said, self.now_s, self.tally = able, PromptAnswers(), 0.0, Tally()
        clock = ServerClockEstimate(lambda: self.now_s, time.time)
        clock.refused()
        self.questions = Questions(KEYS, clock, self.tally, lambda: self.now_s, answers=self)

    def answers(self) -> PromptAnswers:
        return self.said

    def asks(self, seconds: float, replies: dict[Question, Any] | None = None) -> list[Question]:
        found, until_s = [], self.now_s + seconds
        while self.now_s < until_s:
            while (question := self.questions.due()) is not None:
                found.append(question)
                self.questions.command(question)
                answer = (replies or {}).get(question)
                self.questions.answered(question, CommandReply(question, self.now_s, self.now_s, answer))
            self.now_s += 0.5
        return [each for each in found if each in (Question.PROMPTS, Question.ANSWER)]


def test_the_list_is_asked_for_every_two_seconds_and_stays_while_nothing_is_heard() -> None:
    camera = Camera()
    assert camera.asks(8, {Question.PROMPTS: ASKED.to_json()}).count(Question.PROMPTS) == 4
    assert camera.questions.prompts == ASKED
    assert camera.questions.command(Question.PROMPTS) == ("GET", KEYS.prompts)
    camera.questions.forget()
    assert camera.questions.prompts == ASKED
    camera.asks(2)
    assert camera.questions.prompts == PromptList()


def test_what_changed_is_said_soon_and_the_rest_now_and_then() -> None:
    camera = Camera()
    assert camera.asks(20).count(Question.ANSWER) == 2
    camera.asks(2)
    camera.said = PromptAnswers(width=64, height=48, version=5, prompts=(PromptAnswer(1, 5, "tracking", 2.0),))
    assert camera.asks(1).count(Question.ANSWER) == 1
    command = camera.questions.command(Question.ANSWER)
    assert command == ("XADD", KEYS.prompt_state, "MAXLEN", 1, "*", b"p", camera.said.to_json())
    camera.said = PromptAnswers(width=64, height=48, version=5, prompts=(PromptAnswer(1, 5, "tracking", 3.0),))
    assert camera.asks(3).count(Question.ANSWER) == 0  # a rate is no news
    camera.said = PromptAnswers(width=64, height=48, version=5, prompts=(PromptAnswer(1, 5, "lost", 3.0),))
    assert camera.asks(3).count(Question.ANSWER) == 1


def test_a_rate_that_is_the_first_is_news() -> None:
    camera = Camera()
    camera.said = PromptAnswers(prompts=(PromptAnswer(1, 5, "tracking", 0.0),))
    camera.asks(2)
    camera.said = PromptAnswers(prompts=(PromptAnswer(1, 5, "tracking", 3.0),))
    assert camera.asks(2).count(Question.ANSWER) == 1


def test_a_camera_that_runs_none_says_so_once_asks_seldom_and_answers_where_it_is_asked() -> None:
    camera = Camera(able=False)
    assert camera.asks(60) == [Question.PROMPTS, Question.ANSWER, *[Question.PROMPTS] * 3]
    assert camera.asks(16, {Question.PROMPTS: ASKED.to_json()}).count(Question.ANSWER) >= 1


NOT_PERMITTED = NoPermissionError("NOPERM no")
FULL = OutOfMemoryError("OOM command not allowed when used memory > 'maxmemory'.")
OF_ANOTHER_TYPE = ResponseError("WRONGTYPE Operation against a key holding the wrong kind of value")


@pytest.mark.parametrize("error", [NOT_PERMITTED, FULL, OF_ANOTHER_TYPE], ids=lambda error: str(error)[:6])
@pytest.mark.parametrize("refused", [Question.PROMPTS, Question.ANSWER])
def test_what_redis_refuses_is_told_once_a_minute_and_goes_on_when_it_is_taken_again(
    refused: Question, error: ResponseError
) -> None:
    camera, taken = Camera(), {Question.PROMPTS: ASKED.to_json()}
    camera.asks(4, taken)
    assert camera.asks(60, taken | {refused: error}).count(refused) == 1
    assert sum(camera.tally.snapshot().link_failures.values()) == 1
    camera.asks(60, taken | {refused: error})
    assert sum(camera.tally.snapshot().link_failures.values()) == 2
    assert camera.asks(80, taken).count(refused) > 1
    assert camera.questions.prompts == ASKED


@pytest.mark.parametrize(("error", "kept"), [(NOT_PERMITTED, False), (OF_ANOTHER_TYPE, False), (FULL, True)])
def test_a_list_that_may_be_read_no_more_counts_no_more_and_one_that_redis_is_too_busy_for_does(
    error: ResponseError, *, kept: bool
) -> None:
    camera = Camera()
    camera.asks(4, {Question.PROMPTS: ASKED.to_json()})
    camera.asks(4, {Question.PROMPTS: error})
    assert camera.questions.prompts == (ASKED if kept else PromptList())


def test_where_no_answer_is_taken_things_are_outlined_all_the_same() -> None:
    camera = Camera()
    camera.asks(10, {Question.PROMPTS: ASKED.to_json(), Question.ANSWER: FULL})
    assert camera.questions.prompts == ASKED


HUNDREDS = PromptList(5, tuple(structs.replace(ASKED.prompts[0], id=1 + n) for n in range(300)))


@pytest.mark.parametrize("listed", [b"{}", HUNDREDS.to_json()], ids=["no list", "hundreds of prompts"])
def test_a_list_that_cannot_be_read_is_none_and_is_counted(listed: bytes) -> None:
    camera = Camera()
    camera.asks(0.5, {Question.PROMPTS: listed})
    assert camera.questions.prompts == PromptList()
    assert camera.tally.snapshot().control_malformed == 1


def test_a_server_that_became_a_replica_is_left() -> None:
    error: ResponseError = ReadOnlyError("You can't write against a read only replica.")
    with pytest.raises(ResponseError):
        Camera().asks(0.5, {Question.PROMPTS: error})


def test_an_expiry_is_by_the_servers_clock() -> None:
    clock = ServerClockEstimate(time.monotonic, lambda: 1000.0)
    questions = Questions(KEYS, clock, Tally(), time.monotonic)
    assert questions.server_ms(5000.0) == 5000.0
    sent_s = time.monotonic()
    clock.answered(sent_s, 400.0, sent_s)
    assert questions.server_ms(1_000_000.0) == pytest.approx(400_000.0, abs=1000)


def test_a_camera_that_runs_none_says_so_again_where_another_server_may_answer_or_the_first_took_nothing() -> None:
    camera = Camera(able=False)
    assert camera.asks(4).count(Question.ANSWER) == 1
    camera.questions.forget()
    assert camera.asks(4).count(Question.ANSWER) == 1
    camera = Camera(able=False)
    assert camera.asks(30, {Question.ANSWER: FULL}).count(Question.ANSWER) == 1
    assert camera.asks(60).count(Question.ANSWER) == 1


def test_a_clock_that_is_wrong_ends_no_prompt_while_the_link_is_away() -> None:
    clock = ServerClockEstimate(time.monotonic, lambda: 1000.0)
    questions = Questions(KEYS, clock, Tally(), time.monotonic)
    sent_s = time.monotonic()
    clock.answered(sent_s, 400.0, sent_s)
    questions.forget()
    assert questions.server_ms(1_000_000.0) == pytest.approx(400_000.0, abs=1000)


def test_a_list_is_remembered_without_the_still_that_was_asked_for(tmp_path: Path) -> None:
    """A request is for now, and who asked is nothing to keep; each would be a write to the disk, too."""
    camera, listed = Camera(), Remembered(tmp_path / "prompts.json", PromptList)
    camera.questions._listed = listed
    camera.asks(2, {Question.PROMPTS: structs.replace(ASKED, still=StillRequest(10**12, "ada")).to_json()})
    assert Remembered(tmp_path / "prompts.json", PromptList).record == listed.record == ASKED
