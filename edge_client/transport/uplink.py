"""The uplink: packets out, and questions, over one connection.

Its thread (``uplink_thread.py``) alone waits for Redis, so the encoder never does. Packets leave in order, those behind
before those ahead are acknowledged, as long as the link holds them (:attr:`Governor.window_bytes`): so a long way costs
no time, and a lost segment is noticed by those that follow it. What the connection took with it is sent again: the
cloud judges by identity, so a frame that arrives twice is masked once. After a failure one packet goes alone: what a
thin link cannot carry in time would never end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from redis.exceptions import RedisError

from edge_client.rate.goodput import Delivery
from edge_client.rate.governor import Governor
from edge_client.stats import Tally
from edge_client.transport.line import CommandReply, Line
from edge_client.transport.link import is_of_the_bytes, is_the_servers_end, name_failure
from edge_client.transport.outbox import Outbox, Outgoing
from edge_client.transport.questions import Question, Questions
from narrows.contract.wire.keys import ABLE_FIELD, ABLE_TO_MAKE_MASKS, PACKET_FIELD
from narrows.runtime.backoff import Backoff, jitter
from narrows.runtime.redis.replies import words_of

_LOG = structlog.get_logger("edge.uplink")
_MOST_IN_FLIGHT = 32
_MOST_IN_TROUBLE = 1
_TRIES_ALONE = 4
"""A packet alone that is refused so often, or over which a server that answers ends the connection, is never taken."""
_IDLE_S = 0.25
_LOOK_S = 0.01
"""One thread waits for answers and for packets: while it waits for the ones, it looks this often for the others."""
LONGEST_CONNECTION_S = 600.0
"""The address may lead to another server by now while the one before still answers; with TLS anew costs about 5 KB.

Each connection lives for a part of it that is drawn: a fleet that came back in one second is not to renew in another.
"""
_RENEW_AGAIN_S = 30.0
"""Each try may take as long as connecting may, and packets wait."""

About = Outgoing | Question


@dataclass(frozen=True, slots=True)
class FeatureStream:
    """The stream that packets are appended to, and about how many entries of it Redis holds."""

    key: str
    maxlen: int

    def append(self, outgoing: Outgoing) -> tuple[str | bytes | int, ...]:
        """The command that appends a packet; one that depends on none says what the camera is able to."""
        command = "XADD", self.key, "MAXLEN", "~", self.maxlen, "*", PACKET_FIELD, outgoing.packet
        if outgoing.able and not outgoing.depends:
            return *command, ABLE_FIELD, ABLE_TO_MAKE_MASKS
        return command


class Uplink:
    """Sends what the outbox holds, and asks its questions. One thread calls :meth:`step`, again and again.

    Attributes:
        questions: what Redis is asked, and what it answered last.
    """

    def __init__(
        self,
        line: Line[About],
        stream: FeatureStream,
        outbox: Outbox,
        questions: Questions,
        governor: Governor,
        tally: Tally,
    ) -> None:
        self._line = line
        self._stream = stream
        self._outbox = outbox
        self.questions = questions
        self._governor = governor
        self._tally = tally
        self._backoff = Backoff()
        self._trouble: str | None = None
        self._tried_alone = 0
        self._kept_to_age_s = 0.0
        self._life = jitter()

    @property
    def trouble(self) -> str | None:
        """Why Redis takes no packets; ``None`` while it does."""
        return self._trouble

    def step(self) -> float:
        """Send what may go, and take in what was answered; seconds to wait before the next step.

        Raises:
            RedisError: tell it to :meth:`failed`.
            NarrowsError: this machine's fault; the next step would end the same way.
        """
        if self._line.age_s > max(LONGEST_CONNECTION_S * self._life, self._kept_to_age_s) and not self._line.waits:
            self._renew()
        self._line.connect()
        self._ask()
        self._send()
        if self._line.waits:
            self._take_in(self._line.answers(_IDLE_S if self._outbox.waiting else _LOOK_S))
        elif self._outbox.waiting:
            return _LOOK_S  # there is no room for it
        return 0.0

    def failed(self, error: RedisError) -> float:
        """A step failed: send again what was on its way; seconds to wait before the next step."""
        reason, remedy = name_failure(error)
        self._tally.link_failed(reason)
        if self._never_taken(error):
            self._give_up(error)
        self._begin_anew(reason)
        delay_s = self._backoff.next_delay_s()
        waiting, cause = self._outbox.waiting, words_of(error)
        _LOG.warning(
            "redis_failed", reason=reason, cause=cause, remedy=remedy, waiting=waiting, next_try_s=round(delay_s, 1)
        )
        return delay_s

    def crashed(self) -> None:
        """A step ended by an error that nobody foresaw: begin anew over another connection."""
        self._tally.link_failed("unforeseen")
        self._begin_anew("unforeseen")

    def close(self) -> None:
        """Let go of the connection."""
        self._line.close()

    def _renew(self) -> None:
        """Go where the address leads now; the connection that is there is left when the new one stands."""
        try:
            self._line.renew()
        except RedisError as error:
            self._kept_to_age_s = self._line.age_s + _RENEW_AGAIN_S
            reason, remedy = name_failure(error)
            _LOG.warning(
                "connection_kept", reason=reason, cause=words_of(error), remedy=remedy, next_try_s=_RENEW_AGAIN_S
            )
            return
        self._kept_to_age_s, self._life = 0.0, jitter()
        self.questions.forget()

    def _ask(self) -> None:
        """One question at a time: on a link that is away they would pile up."""
        if not self._line.any(lambda about: isinstance(about, Question)):
            question = self.questions.due()
            if question is not None:
                self._line.send(question, *self.questions.command(question))

    def _send(self) -> None:
        if self._trouble is not None and not self._line.answered:
            return  # first an answer: should the connection end then, it ends because of the packet
        most = _MOST_IN_FLIGHT if self._trouble is None else _MOST_IN_TROUBLE
        room = self.questions.room
        if room is not None:
            most = int(min(most, self._outbox.flying + room.left))
        idle_s = 0.0 if self._line.waits else _IDLE_S
        for outgoing in self._outbox.take(most, idle_s, self._governor.window_bytes):
            if room is not None:
                room.sent()
            self._line.send(outgoing, *self._stream.append(outgoing))

    def _take_in(self, answers: Sequence[CommandReply[About]]) -> None:
        packets = [answered for answered in answers if isinstance(answered.about, Outgoing)]
        refusal = next((answered.refusal for answered in packets if answered.refusal is not None), None)
        if refusal is not None and self._never_taken(refusal):
            self._give_up(refusal)
        elif refusal is not None:
            self._part(packets)
        elif packets:
            self._settle(packets)
        for answered in answers:
            if isinstance(answered.about, Question):
                if answered.about is Question.CONTROL:
                    self._governor.probed(answered.at_s - answered.sent_s)
                self.questions.answered(answered.about, answered)

    def _settle(self, acknowledged: Sequence[CommandReply[About]]) -> None:
        packets = [answered.about for answered in acknowledged if isinstance(answered.about, Outgoing)]
        size_bytes = sum(packet.size_on_link for packet in packets)
        first, last = acknowledged[0], acknowledged[-1]
        self._governor.delivered(Delivery(packets[0].coded_s, first.sent_s, last.at_s, size_bytes))
        for packet, answered in zip(packets, acknowledged, strict=True):
            self._outbox.settle(self.questions.clock.latency(packet.record.taken_s, entry_ms(answered.answer)))
        if self._trouble is not None:
            _LOG.info("redis_restored", after=self._trouble, waiting=self._outbox.waiting)
        self._trouble, self._tried_alone = None, 0
        self._backoff.reset()

    def _never_taken(self, error: RedisError) -> bool:
        """Whether Redis never takes the packet in flight, if it is one: this was one try too many that ended so."""
        if self._outbox.flying != 1 or not (
            is_of_the_bytes(error) or (self._line.answered and is_the_servers_end(error))
        ):
            return False
        self._tried_alone += 1
        return self._tried_alone >= _TRIES_ALONE

    def _give_up(self, error: RedisError) -> None:
        """Drop the one packet in flight; those behind it wait."""
        self._tally.link_failed("packet_refused")
        _LOG.warning("packet_refused", cause=words_of(error), remedy="raise proto-max-bulk-len on the Redis server")
        self._outbox.refused()
        self._tried_alone = 0

    def _part(self, packets: list[CommandReply[About]]) -> None:
        """A packet was refused while others were on their way behind it: should one of these be taken, it is overtaken.

        What needs it as a reference the cloud skips, and asks for a K.
        """
        lost: RedisError | None = None
        try:
            while self._line.waits:
                packets += [each for each in self._line.answers(_IDLE_S) if isinstance(each.about, Outgoing)]
        except RedisError as error:
            lost = error
        taken = [place for place, each in enumerate(packets) if each.refusal is None]
        behind = len(packets) if lost else max(taken, default=-1) + 1
        for each in packets[:behind]:
            if each.refusal:
                self._outbox.overtaken()
            else:
                self._settle([each])
        self._outbox.give_back(uncertain=lost is not None)
        raise lost or next(each.refusal for each in packets if each.refusal)

    def _begin_anew(self, trouble: str) -> None:
        """Send again, over a new connection, whatever was on its way."""
        self._trouble = trouble
        self._outbox.give_back(uncertain=True)
        self._outbox.link_failed()
        self._line.drop()
        self._kept_to_age_s, self._life = 0.0, jitter()
        self.questions.forget()


def entry_ms(entry: bytes | str) -> int:
    """The server's clock in an entry id, ``MILLISECONDS-COUNT``."""
    text = entry if isinstance(entry, str) else entry.decode()
    return int(text.partition("-")[0])
