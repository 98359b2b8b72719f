"""A still picture leaves a site where its setting allows it, and then one for a request: small, seldom, soon gone."""

from __future__ import annotations

import io
import time
from typing import Any

import numpy as np
import pytest
from PIL import Image
from redis.exceptions import NoPermissionError

from edge_client.site.settings import SiteSettings
from edge_client.site.stills import SiteStills, _Taken, encoded
from edge_client.stats import Tally
from edge_client.transport.line import CommandReply
from edge_client.transport.questions import Question, Questions
from edge_client.transport.server_clock import ServerClockEstimate
from narrows.contract.errors import ConfigError
from narrows.contract.records.prompts import PromptAnswers, PromptList
from narrows.contract.records.still import (
    MAX_STILL_BYTES,
    REQUEST_MS,
    STILL_MS,
    STILL_SIDE,
    Still,
    StillAnswer,
    StillRequest,
)
from narrows.contract.wire import StreamKeys

KEYS = StreamKeys.of("cam-1", 4)
BEGUN_MS = 1_767_225_600_000
PICTURE = np.full((1080, 1920, 3), 90, np.uint8)
WITHDRAWN = ("XADD", KEYS.still, "MAXLEN", 0, "*", b"p", b"")


class Site:
    """A camera's stills behind its questions, on a clock that the test moves."""

    able = True

    def __init__(self, per_hour: int) -> None:
        self.now_s, self.set_by_ms, self.tally = 0.0, 0, Tally()
        self.stills = SiteStills(per_hour, self.tally, lambda: self.now_s)
        clock = ServerClockEstimate(lambda: self.now_s, time.time)
        clock.refused()
        self.questions = Questions(
            KEYS, clock, self.tally, lambda: self.now_s, answers=self, stills=self.stills, unix_ms=lambda: self.now_ms
        )
        self.refusal: Exception | None = None
        self.said = PromptAnswers()
        self.sent: list[tuple[Any, ...]] = []
        self.listed: StillRequest | None = None

    @property
    def now_ms(self) -> int:
        return BEGUN_MS + self.set_by_ms + round(self.now_s * 1000)

    def answers(self) -> PromptAnswers:
        return PromptAnswers(width=1920, height=1080)

    def run(self, seconds: float, *, frames: bool = True) -> None:
        until_s = self.now_s + seconds
        while self.now_s < until_s:
            if frames:
                self.stills.show(PICTURE, self.now_ms)
            while (question := self.questions.due()) is not None:
                command = self.questions.command(question)
                answer: Any = PromptList(still=self.listed).to_json() if question is Question.PROMPTS else None
                if question is Question.ANSWER:
                    self.said = PromptAnswers.parse(command[-1])  # type: ignore[arg-type]
                if question is Question.STILL:
                    self.sent.append(command)
                    answer = self.refusal
                self.questions.answered(question, CommandReply(question, self.now_s, self.now_s, answer))
            self.now_s += 0.5

    def ask(self, seconds: float = 4.0) -> StillRequest:
        self.listed = StillRequest(self.now_ms, "ada@desk")
        self.run(seconds)
        return self.listed


def stills_of(site: Site) -> list[Still]:
    return [Still.parse(command[6]) for command in site.sent if command[3] == 1]


def test_a_site_that_allows_none_lets_none_out_whatever_redis_asks() -> None:
    site = Site(0)
    request = site.ask(60)
    assert site.sent == []
    assert not site.stills.wanted
    assert site.said.still == StillAnswer(request.asked_ms, "not_allowed")
    assert site.said.stills_per_hour == 0
    assert site.tally.snapshot().stills == {"not_allowed": 1}


def test_a_request_is_answered_with_one_small_still_of_the_whole_picture() -> None:
    site = Site(12)
    request = site.ask()
    assert site.sent[0] == WITHDRAWN  # of the run before
    (command,) = site.sent[1:]
    assert command[:5] == ("XADD", KEYS.still, "MAXLEN", 1, "*")
    assert Still.parse(command[6]) == Still(request.asked_ms, 1920, 1080, Still.parse(command[6]).capture_ms)
    with Image.open(io.BytesIO(command[8])) as image:  # noqa: TID251 -- what the file says, as it is
        assert (image.format, image.size) == ("JPEG", (STILL_SIDE, 360))
    assert site.said.still == StillAnswer(request.asked_ms, "sent")
    assert site.said.stills_per_hour == 12
    site.run(20)
    assert len(stills_of(site)) == 1  # the request is in the list yet
    assert site.tally.snapshot().stills == {"sent": 1}


def test_a_still_is_withdrawn_after_its_minute() -> None:
    site = Site(12)
    site.ask()
    sent = len(site.sent)
    site.run(STILL_MS / 1000 - 6)
    assert len(site.sent) == sent
    site.run(6)
    assert site.sent[sent:] == [WITHDRAWN]


def test_more_than_the_site_allows_an_hour_stay_and_the_answer_says_how_long() -> None:
    site = Site(2)
    for _ in range(2):
        site.ask()
    third = site.ask()
    assert len(stills_of(site)) == 2
    assert site.said.still is not None
    assert (site.said.still.asked_ms, site.said.still.state) == (third.asked_ms, "too_many")
    site.now_s += site.said.still.wait_s
    fourth = site.ask()
    assert [each.asked_ms for each in stills_of(site)][2:] == [fourth.asked_ms]
    assert site.tally.snapshot().stills == {"sent": 3, "too_many": 1}


@pytest.mark.parametrize("shift_ms", [-REQUEST_MS - 1000, -(10**9), 60_000, 10**12])
def test_a_request_of_long_ago_or_of_the_future_is_none(shift_ms: int) -> None:
    site = Site(12)
    site.listed = StillRequest(site.now_ms + shift_ms)
    site.run(10)
    assert stills_of(site) == []
    assert site.said.still is None


def test_no_frame_in_time_is_no_still_later() -> None:
    site = Site(12)
    site.listed = StillRequest(site.now_ms)
    site.run(REQUEST_MS / 1000 + 2, frames=False)
    assert not site.stills.wanted
    site.run(10)
    assert stills_of(site) == []


def test_a_link_that_breaks_under_a_still_is_not_tried_with_it_again() -> None:
    site = Site(12)
    site.ask(1)
    assert len(stills_of(site)) == 1
    site.questions.forget()
    site.run(20)
    assert len(stills_of(site)) == 1


def test_where_its_user_may_not_add_stills_the_answer_says_so() -> None:
    site = Site(12)
    site.run(1)
    site.refusal = NoPermissionError("NOPERM no")
    request = site.ask()
    assert site.said.still == StillAnswer(request.asked_ms, "not_permitted")
    assert site.tally.snapshot().link_failures == {"still_not_permitted": 1}


@pytest.mark.parametrize("shape", [(48, 64), (1, 1), (2160, 3840), (100, 8000)])
def test_whatever_the_picture_its_still_is_small(shape: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    data = encoded(noise)
    assert len(data) <= MAX_STILL_BYTES
    with Image.open(io.BytesIO(data)) as image:  # noqa: TID251 -- as above
        assert max(image.size) <= STILL_SIDE


def test_stills_need_prompts_and_go_with_no_seal() -> None:
    allowed = SiteSettings(stills_per_hour=1)
    allowed.check(prompts=True)
    with pytest.raises(ConfigError, match="give --prompts a network"):
        allowed.check(prompts=False)
    with pytest.raises(ConfigError, match="--stills sends a picture that whoever reads Redis can open, and --key-file"):
        allowed.check(prompts=True, sealed=True)


def test_a_frame_that_comes_as_its_request_expires_is_neither_sent_nor_kept() -> None:
    site = Site(12)
    site.listed = StillRequest(site.now_ms)
    site.run(REQUEST_MS / 1000, frames=False)
    wanted = site.stills._wanted
    assert wanted is not None
    site.now_s += 2
    assert not site.stills.due(site.now_ms)
    site.stills._taken = _Taken(wanted.asked_ms, PICTURE, site.now_ms)  # as the frame loop does between two steps
    sent = len(site.sent)
    site.run(10, frames=False)
    assert len(site.sent) == sent
    assert site.stills._taken is None


def test_a_second_request_is_answered_with_a_frame_of_its_own() -> None:
    site = Site(12)
    site.listed = StillRequest(site.now_ms)
    site.run(1, frames=False)
    site.stills.show(PICTURE, 7)
    site.listed = StillRequest(site.now_ms + 1)
    site.stills.heard(site.listed, site.now_ms + 1)
    assert site.stills.wanted
    site.run(4)
    (still,) = stills_of(site)
    assert still.asked_ms == site.listed.asked_ms
    assert still.capture_ms != 7


def test_people_on_site_are_told_what_may_leave_and_who_had_the_last() -> None:
    assert Site(0).stills.to_tell() == {"per_hour": 0, "last": None}
    site = Site(2)
    assert site.stills.to_tell() == {"per_hour": 2, "last": None}
    request = site.ask()
    assert site.stills.to_tell() == {"per_hour": 2, "last": {"who": "ada@desk", "asked_ms": request.asked_ms}}


def test_a_clock_that_is_set_back_does_not_stop_stills_until_it_has_caught_up() -> None:
    site = Site(12)
    site.ask()
    site.set_by_ms = -3_600_000
    again = site.ask()
    assert [each.asked_ms for each in stills_of(site)][1:] == [again.asked_ms]
    site.run(20)
    assert len(stills_of(site)) == 2  # once for a request all the same
