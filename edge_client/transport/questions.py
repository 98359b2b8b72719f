"""What the camera asks Redis beside sending packets: its control record, the time, the stream's length, the install."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from typing import Any

import structlog
from redis.exceptions import NoPermissionError

from edge_client.rate.backpressure import Room
from edge_client.stats import Tally
from edge_client.transport.line import CommandReply
from edge_client.transport.link import name_failure
from edge_client.transport.server_clock import ServerClockEstimate
from narrows.contract.errors import RecordError, ServiceError
from narrows.contract.wire import Control, Install, StreamKeys
from narrows.contract.wire.keys import INSTALL_KEY
from narrows.runtime.redis.replies import Remedy, remedy_of, words_of

_LOG = structlog.get_logger("edge.uplink")
_CONTROL_PERIOD_S = 1.0
_INSTALL_PERIOD_S = 30.0  # 70 bytes each time; it changes only where Redis was emptied or restored


class Question(Enum):
    """One of them."""

    CONTROL = "control"
    TIME = "time"
    LENGTH = "length"
    INSTALL = "install"


class Questions:
    """When each is asked, and what becomes of the answers. One thread asks; any may read.

    Attributes:
        control: the newest control record; ``None`` where there is none, or none that can be read.
        newest_packet_format: that every dispatcher reads, by the install record.
        clock: the server's clock.
        room: what holds back packets that would push unread ones out of the stream, where that is wanted.
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
    ) -> None:
        """``install``: the record that shards and packet format are of; ``None``: they are the operator's."""
        self.control: Control | None = None
        self.newest_packet_format = 1 if install is None else install.newest_packet_format
        self.clock = clock
        self.room = room
        self._keys = keys
        self._tally = tally
        self._monotonic_s = monotonic_s
        self._control_due_s = monotonic_s()
        self._install_due_s = monotonic_s() + _INSTALL_PERIOD_S if install is not None else math.inf

    def due(self) -> Question | None:
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
        if self.room is not None and self.room.due(now_s):
            return Question.LENGTH
        return None

    def command(self, question: Question) -> tuple[str, ...]:
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
        }
        read[question](answered)

    def forget(self) -> None:
        """The connection is gone, and another server may answer from now on."""
        self.clock.forget()
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

    def _read_install(self, answered: CommandReply[Any]) -> None:
        """A record that is lost comes back, and one that cannot be read is the dispatchers' to complain about."""
        if answered.refusal is not None or answered.answer is None:
            return
        with suppress(RecordError):
            install = Install.parse(answered.answer)
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
