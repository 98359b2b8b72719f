"""The sending thread: packets out, the control record in, over one connection.

It alone waits for Redis, so the encoder never does. Packets leave in order, a batch as one transaction: either all of a
batch are in the stream or none. A batch whose answer was lost is sent again: the cloud judges by identity, so a frame
that arrives twice is masked once. After a failure the first packet goes alone: a batch that a thin link cannot carry in
time would never end.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Thread

import redis
import structlog
from redis.exceptions import RedisError, ResponseError

from edge_client.backpressure import Room
from edge_client.goodput import Delivery
from edge_client.governor import Governor
from edge_client.link import may_have_arrived, name_failure, read_record
from edge_client.outbox import Outbox, Outgoing
from edge_client.packet_sizes import FRAMING_BYTES
from edge_client.server_clock import ServerClock
from edge_client.stats import Tally
from narrows.backoff import Backoff
from narrows.errors import RecordError
from narrows.wire import Control, StreamKeys
from narrows.wire.keys import PACKET_FIELD

_LOG = structlog.get_logger("edge.uplink")
_BATCH = 8
_BATCH_IN_TROUBLE = 1
_CONTROL_PERIOD_S = 1.0
_IDLE_S = 0.25
BEAT_S = 60.0
"""The longest that a step takes: connecting, three answers, and the wait before another try."""


class Uplink:
    """Sends what the outbox holds until halted; ``control`` is the newest control record, or ``None``.

    The client is the thread's from ``start`` on, which closes it at its end: redis-py takes no close from outside
    while it waits for an answer.
    """

    def __init__(
        self,
        client: redis.Redis,
        keys: StreamKeys,
        maxlen: int,
        outbox: Outbox,
        tally: Tally,
        governor: Governor,
        clock: ServerClock,
        monotonic_s: Callable[[], float],
        beat: Callable[[], None],
        room: Room | None = None,
    ) -> None:
        """``beat`` is called once a step; ``room`` holds back what would push unread packets out of the stream."""
        self._client = client
        self._keys = keys
        self._maxlen = maxlen
        self._outbox = outbox
        self._tally = tally
        self._governor = governor
        self._clock = clock
        self._monotonic_s = monotonic_s
        self._beat = beat
        self._room = room
        self._halted = Event()
        self._backoff = Backoff()
        self._trouble: str | None = None
        self._control_due_s = monotonic_s()
        self._crash: Exception | None = None
        self.control: Control | None = None
        self._thread = Thread(target=self._run, name="uplink", daemon=True)

    @property
    def trouble(self) -> str | None:
        """Why Redis takes no packets; ``None`` while it does."""
        return self._trouble

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def check(self) -> None:
        """Raise what ended the thread, if a bug did."""
        if self._crash is not None:
            raise self._crash

    def halt(self) -> None:
        """End the thread, giving up what is still unsent; waits a moment, never for Redis."""
        self._halted.set()
        self._outbox.wake()
        self._thread.join(timeout=0.2)
        self._outbox.abandon()

    def _run(self) -> None:
        try:
            while not self._halted.is_set():
                self._beat()
                try:
                    self._step()
                except RedisError as error:
                    self._fail(error)
        except Exception as error:  # noqa: BLE001 -- the thread's outermost loop: check() raises it in the main one
            self._crash = error
        finally:
            self._client.close()

    def _step(self) -> None:
        if self._trouble is not None:
            self._client.ping()
        self._clock.keep_up(self._client)
        if self._monotonic_s() >= self._control_due_s:
            self._read_control()
        most = _BATCH if self._trouble is None else _BATCH_IN_TROUBLE
        if self._room is not None and not (most := self._room.free(most)):
            self._halted.wait(_IDLE_S)
            return
        batch = self._outbox.take(most, _IDLE_S, self._governor.batch_bytes)
        if batch:
            self._send(batch)

    def _send(self, batch: list[Outgoing]) -> None:
        sent_s = self._monotonic_s()
        pipeline = self._client.pipeline(transaction=len(batch) > 1)
        for outgoing in batch:
            pipeline.xadd(self._keys.features, {PACKET_FIELD: outgoing.packet}, maxlen=self._maxlen, approximate=True)
        try:
            entries = pipeline.execute()
        except RedisError as error:
            self._outbox.give_back(uncertain=may_have_arrived(error))
            raise
        size_bytes = sum(len(outgoing.packet) + FRAMING_BYTES for outgoing in batch)
        self._governor.delivered(Delivery(batch[0].coded_s, sent_s, self._monotonic_s(), size_bytes))
        self._outbox.settle(
            [
                self._clock.latency(outgoing.record.taken_s, entry_ms(entry))
                for outgoing, entry in zip(batch, entries, strict=True)
            ]
        )
        if self._trouble is not None:
            _LOG.info("restored", after=self._trouble, waiting=self._outbox.waiting)
        self._trouble = None
        self._backoff.reset()

    def _read_control(self) -> None:
        asked_s = self._monotonic_s()
        self._control_due_s = asked_s + _CONTROL_PERIOD_S
        try:
            record = read_record(self._client, self._keys.control)
            self._governor.probed(self._monotonic_s() - asked_s)
            self.control = None if record is None else Control.parse(record)
        except RecordError as error:
            self.control = None
            self._tally.control_malformed()
            _LOG.warning("control_ignored", key=self._keys.control, cause=str(error))
        except ResponseError as error:
            # frames matter more than advice: a camera that may not read its record decides alone
            self.control = None
            reason, remedy = name_failure(error)
            self._tally.link_failed(f"control_{reason}")
            _LOG.warning("control_unreadable", key=self._keys.control, reason=reason, remedy=remedy)

    def _fail(self, error: RedisError) -> None:
        reason, remedy = name_failure(error)
        self._trouble = reason
        self._tally.link_failed(reason)
        self._outbox.link_failed()
        self._clock.forget()
        delay_s = self._backoff.next_delay_s()
        _LOG.warning("redis_" + reason, remedy=remedy, waiting=self._outbox.waiting, next_try_s=round(delay_s, 1))
        self._halted.wait(delay_s)


def entry_ms(entry: bytes | str) -> int:
    """The server's clock in an entry id, ``MILLISECONDS-COUNT``."""
    text = entry if isinstance(entry, str) else entry.decode()
    return int(text.partition("-")[0])
