"""What the camera asks Redis beside sending packets: its control record, the time, the stream's length, the install."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from typing import Any, Protocol

import structlog
from msgspec import structs
from redis.exceptions import NoPermissionError, ResponseError

from edge_client.clock import unix_ms
from edge_client.rate.backpressure import Room
from edge_client.stats import Tally
from edge_client.transport.line import CommandReply
from edge_client.transport.link import name_failure
from edge_client.transport.remembered import Remembered
from edge_client.transport.server_clock import ServerClockEstimate
from narrows.contract.errors import RecordError, ServiceError
from narrows.contract.records.prompts import PromptAnswers, PromptList
from narrows.contract.records.still import StillRequest
from narrows.contract.schedule import Explanation
from narrows.contract.wire import Control, Install, StreamKeys
from narrows.contract.wire.keys import INSTALL_KEY, PACKET_FIELD
from narrows.runtime.redis.replies import Remedy, remedy_of, words_of

_LOG = structlog.get_logger("edge.uplink")
_CONTROL_PERIOD_S = 1.0
_PROMPTS_PERIOD_S = 2.0
_UNABLE_PERIOD_S = 15.0
_ANSWER_PERIOD_S = 10.0
_REFUSED_S = 60.0
_INSTALL_PERIOD_S = 30.0  # 70 bytes each time; it changes only where Redis was emptied or restored


class Question(Enum):
    """One of them."""

    CONTROL = "control"
    TIME = "time"
    LENGTH = "length"
    INSTALL = "install"
    PROMPTS = "prompts"
    ANSWER = "answer"
    """No question: what the camera says of its prompts."""
    STILL = "still"
    """Nor this: a still picture that the site lets out."""
    PLAN = "plan"
    """No question either: which design the camera uses, and why."""


class Answers(Protocol):
    """Who knows what to say of prompts."""

    @property
    def able(self) -> bool:
        """Whether it runs any."""
        ...

    def answers(self) -> PromptAnswers:
        """What to say now."""
        ...


class Stills(Protocol):
    """Who lets still pictures out, as :class:`edge_client.site.stills.SiteStills` does."""

    def heard(self, request: StillRequest | None, now_ms: float) -> None:
        """What the list of prompts asks for, by the server's clock."""
        ...

    def told(self, answers: PromptAnswers) -> PromptAnswers:
        """The answer to prompts, with what is said of stills."""
        ...

    def due(self, now_ms: float) -> bool:
        """Whether there is something to send."""
        ...

    def command(self, key: str) -> tuple[str | bytes | int, ...]:
        """What is due, as Redis takes it."""
        ...

    def refused(self) -> None:
        """Redis did not take it."""
        ...


Plan = Callable[[], Explanation | None]
"""The newest explanation of the design in use; ``None`` before the first plan."""


class Questions:
    """When each is asked, and what becomes of the answers. One thread asks; any may read.

    Attributes:
        control: the newest control record; ``None`` where there is none, or none that can be read.
        newest_packet_format: that every dispatcher reads, by the install record.
        clock: the server's clock.
        room: what holds back packets that would push unread ones out of the stream, where that is wanted.
        prompts: what an operator points at, as it was last heard: it stays while the link is away.
    """

    def __init__(
        self,
        keys: StreamKeys,
        clock: ServerClockEstimate,
        tally: Tally,
        monotonic_s: Callable[[], float],
        room: Room | None = None,
        *,
        install: Install | None = None,
        learned: Callable[[Install], None] = lambda _: None,
        listed: Remembered[PromptList] | None = None,
        answers: Answers | None = None,
        plan: Plan | None = None,
        stills: Stills | None = None,
        unix_ms: Callable[[], float] = unix_ms,
    ) -> None:
        """Ask nothing yet.

        Args:
            keys: the stream's.
            clock: hears what time it is at the server.
            tally: hears of refusals.
            monotonic_s: seconds since some moment.
            room: hears how long the stream is; ``None``: nobody does.
            install: the record that shards and packet format are of; ``None``: they are the operator's.
            learned: told of each record that is read after it.
            listed: keeps the list of prompts.
            answers: what is said of prompts; ``None``: nobody asks for any.
            plan: what is said of the design in use; ``None``: none is planned.
            stills: who lets still pictures out; ``None``: nobody.
            unix_ms: this machine's clock.
        """
        self._listed = listed
        self.prompts = (listed and listed.record) or PromptList()
        self.control: Control | None = None
        self.newest_packet_format = 1 if install is None else install.newest_packet_format
        self.clock = clock
        self.room = room
        self._keys, self._learned = keys, learned
        self._tally = tally
        self._monotonic_s = monotonic_s
        self._control_due_s = monotonic_s()
        self._answers = answers
        self._prompts_due_s = math.inf if answers is None else monotonic_s()
        self._told: PromptAnswers | None = None
        self._answer_due_s = math.inf if answers is None else monotonic_s()
        self._answer_soonest_s = monotonic_s()
        self._stills, self._unix_ms = stills, unix_ms
        self._plan = plan
        self._plan_told: Explanation | None = None
        self._plan_soonest_s = math.inf if plan is None else monotonic_s()
        self._install_due_s = monotonic_s() + _INSTALL_PERIOD_S if install is not None else math.inf

    def due(self) -> Question | None:  # noqa: PLR0911 -- a line a question
        """What it is time to ask, if anything; asking commits to it."""
        now_s = self._monotonic_s()
        if self.clock.due():
            return Question.TIME
        if now_s >= self._control_due_s:
            self._control_due_s = now_s + _CONTROL_PERIOD_S
            return Question.CONTROL
        if now_s >= self._install_due_s:
            self._install_due_s = now_s + _INSTALL_PERIOD_S
            return Question.INSTALL
        if now_s >= self._prompts_due_s and self._answers is not None:
            self._prompts_due_s = now_s + (_PROMPTS_PERIOD_S if self._answers.able else _UNABLE_PERIOD_S)
            return Question.PROMPTS
        if self._answer_is_due(now_s):
            self._answer_due_s, self._answer_soonest_s = now_s + _ANSWER_PERIOD_S, now_s + _CONTROL_PERIOD_S
            return Question.ANSWER
        if self._stills is not None and self._stills.due(self.server_ms(self._unix_ms())):
            return Question.STILL
        if self._plan_is_due(now_s):
            self._plan_soonest_s = now_s + _CONTROL_PERIOD_S
            return Question.PLAN
        if self.room is not None and self.room.due(now_s):
            return Question.LENGTH
        return None

    def server_ms(self, own_ms: float) -> float:
        """The server's clock, when this machine's says ``own_ms``; the same as long as nothing better is known."""
        offset_s = self.clock.last_offset_s()
        return own_ms if offset_s is None else own_ms - offset_s * 1000

    def command(self, question: Question) -> tuple[str | bytes | int, ...]:  # noqa: PLR0911 -- a line a question
        """As Redis takes it."""
        match question:
            case Question.CONTROL:
                return "GET", self._keys.control
            case Question.TIME:
                return ("TIME",)
            case Question.LENGTH:
                return "XLEN", self._keys.features
            case Question.INSTALL:
                return "GET", INSTALL_KEY
            case Question.PROMPTS:
                return "GET", self._keys.prompts
            case Question.ANSWER:
                self._told = self._said()
                return "XADD", self._keys.prompt_state, "MAXLEN", 1, "*", PACKET_FIELD, self._told.to_json()
            case Question.STILL:
                return ("PING",) if self._stills is None else self._stills.command(self._keys.still)
            case Question.PLAN:
                self._plan_told = None if self._plan is None else self._plan()
                said = b"" if self._plan_told is None else self._plan_told.to_json()
                return "XADD", self._keys.plan, "MAXLEN", 1, "*", PACKET_FIELD, said

    def answered(self, question: Question, answered: CommandReply[Any]) -> None:
        """Redis answered. What this user may not ask is told of once, and done without.

        Raises:
            ResponseError: it was refused for another reason.
            ServiceError: the install has other shards by now, and the stream lies elsewhere.
        """
        read = {
            Question.CONTROL: self._read_control,
            Question.TIME: self._read_time,
            Question.LENGTH: self._read_length,
            Question.INSTALL: self._read_install,
            Question.PROMPTS: self._read_prompts,
            Question.ANSWER: self._answer_taken,
            Question.STILL: self._still_taken,
            Question.PLAN: self._plan_taken,
        }
        read[question](answered)

    def forget(self) -> None:
        """The connection is gone, and another server may answer from now on, which was told nothing."""
        self.clock.forget()
        self._told = self._plan_told = None
        if self.room is not None:
            self.room.forget()

    def _read_control(self, answered: CommandReply[Any]) -> None:
        if answered.refusal:
            if remedy_of(answered.refusal) is Remedy.RECONNECT:
                raise answered.refusal
            # frames matter more than advice: a camera that may not read its record decides alone
            self.control = None
            reason, remedy = name_failure(answered.refusal)
            self._tally.link_failed(f"control_{reason}")
            cause = words_of(answered.refusal)
            _LOG.warning("control_unreadable", key=self._keys.control, reason=reason, cause=cause, remedy=remedy)
            return
        try:
            self.control = None if answered.answer is None else Control.parse(answered.answer)
        except RecordError as error:
            self.control = None
            self._tally.control_malformed()
            _LOG.warning("control_ignored", key=self._keys.control, cause=str(error))

    def _answer_is_due(self, now_s: float) -> bool:
        """Whether there is something to say: of what changed, soon; else now and then.

        A camera that runs no prompts says so once a connection, and else only where it is asked for some.
        """
        if self._answers is None or now_s < self._answer_soonest_s:
            return False
        if not self._answers.able and not self.prompts.prompts:
            return self._told is None
        if now_s >= self._answer_due_s:
            return True
        return _states(self._said()) != _states(self._told)

    def _said(self) -> PromptAnswers:
        answers = PromptAnswers() if self._answers is None else self._answers.answers()
        return answers if self._stills is None else self._stills.told(answers)

    def _read_prompts(self, answered: CommandReply[Any]) -> None:
        if answered.refusal is not None:
            self._prompts_due_s = self._put_off("prompts", self._keys.prompts, answered.refusal)
            if remedy_of(answered.refusal) is Remedy.NONE or isinstance(answered.refusal, NoPermissionError):
                self.prompts = PromptList()  # what may be read no more counts no more
            return
        try:
            self.prompts = PromptList() if answered.answer is None else PromptList.parse(answered.answer)
        except RecordError as error:
            self.prompts = PromptList()
            self._tally.control_malformed()
            _LOG.warning("prompts_ignored", key=self._keys.prompts, cause=str(error))
            return
        if self._listed is not None:
            self._listed.remember(structs.replace(self.prompts, still=None))  # a request is for now
        if self._stills is not None:
            self._stills.heard(self.prompts.still, self.server_ms(self._unix_ms()))

    def _plan_is_due(self, now_s: float) -> bool:
        """Whether there is another explanation than the one that was told last, and none was told just now."""
        return self._plan is not None and now_s >= self._plan_soonest_s and self._plan() is not self._plan_told

    def _plan_taken(self, answered: CommandReply[Any]) -> None:
        if answered.refusal is not None:
            self._plan_told, self._plan_soonest_s = None, self._put_off("plan", self._keys.plan, answered.refusal)

    def _still_taken(self, answered: CommandReply[Any]) -> None:
        if answered.refusal is not None and self._stills is not None:
            self._put_off("still", self._keys.still, answered.refusal)
            self._stills.refused()

    def _answer_taken(self, answered: CommandReply[Any]) -> None:
        if answered.refusal is not None:
            again_s = self._put_off("prompts", self._keys.prompt_state, answered.refusal)
            self._told, self._answer_due_s, self._answer_soonest_s = None, again_s, again_s

    def _put_off(self, what: str, key: str, refusal: ResponseError) -> float:
        """Frames matter more: it is done without, and tried again when Redis may have room, or an operator a right.

        Answers when that is.
        """
        if remedy_of(refusal) is Remedy.RECONNECT:
            raise refusal
        reason, remedy = name_failure(refusal)
        self._tally.link_failed(f"{what}_{reason}")
        cause = words_of(refusal)
        _LOG.warning("question_refused", key=key, reason=reason, cause=cause, remedy=remedy, next_try_s=_REFUSED_S)
        return self._monotonic_s() + _REFUSED_S

    def _read_install(self, answered: CommandReply[Any]) -> None:
        """A record that is lost comes back, and one that cannot be read is the dispatchers' to complain about."""
        if answered.refusal is not None or answered.answer is None:
            return
        with suppress(RecordError):
            install = Install.parse(answered.answer)
            self._learned(install)
            shards, self.newest_packet_format = install.shards, install.newest_packet_format
            if StreamKeys.of(self._keys.stream, shards) != self._keys:
                raise ServiceError(
                    f"{INSTALL_KEY} says {shards} shards by now: {self._keys.features} is read by nobody; start again"
                )

    def _read_time(self, answered: CommandReply[Any]) -> None:
        if answered.refusal is None:
            seconds, microseconds = answered.answer
            self.clock.answered(answered.sent_s, int(seconds) + int(microseconds) * 1e-6, answered.at_s)
        elif isinstance(answered.refusal, NoPermissionError):
            self.clock.refused()
        else:
            raise answered.refusal

    def _read_length(self, answered: CommandReply[Any]) -> None:
        if self.room is None:
            return
        if answered.refusal is None:
            self.room.answered(int(answered.answer))
        elif isinstance(answered.refusal, NoPermissionError):
            self.room.refused(name_failure(answered.refusal).reason)
        else:
            raise answered.refusal


def _states(answers: PromptAnswers | None) -> object:
    """What an answer says but for the rates, which change with every frame: whether there is one is news."""
    if answers is None:
        return None
    prompts = tuple((each.id, each.version, each.state, each.frames_per_s > 0) for each in answers.prompts)
    site = tuple((each.id, each.version) for each in answers.site)
    stills = answers.stills_per_hour, answers.still
    return answers.unable, answers.width, answers.height, answers.version, prompts, site, answers.removed, stills
