"""Packets between the encoder and Redis: a bounded queue that gives up its oldest, and says what became of each.

::

    put ──► waiting ──take──► in flight ──settle──► sent
               │  ◄─give_back──┘  │
               └──────────────────┴── dropped: expired, queue_full, reference_dropped, overtaken, refused,
                                               shutdown, unconfirmed

Freshness beats completeness: what has waited for longer than ``most_age_s`` is given up before it is sent.

A P packet is worth nothing without its reference, nor any of format 2 without its context. When a packet is dropped, so
are those behind it that depend on one before, up to the next that does not; where none waits, the chain is broken until
such a one is put, and whoever codes asks ``chain_broken`` first.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from threading import Condition

from edge_client.encode.frame_kind import FrameKind
from edge_client.encode.packet_sizes import FRAMING_BYTES
from edge_client.transport.server_clock import Estimate

EXPIRED, QUEUE_FULL, SHUTDOWN, UNCONFIRMED = "expired", "queue_full", "shutdown", "unconfirmed"
REFERENCE_DROPPED, OVERTAKEN, REFUSED = "reference_dropped", "overtaken", "refused"


@dataclass(frozen=True, slots=True)
class FrameRecord:
    """What the journal says of a frame. Times in milliseconds.

    Attributes:
        level: the rate level of its features.
        network_ms: in encoder and camera decoder.
        taken_s: the capture by the monotonic clock; ``None`` for a frame of a boot before.
        latency: from the capture to the Redis entry, once it is there and if the server's clock is known.
    """

    sequence: int
    epoch: int
    name: str
    capture_ms: int
    size_bytes: int
    level: int
    network_ms: float
    coder_ms: float
    taken_s: float | None = None
    latency: Estimate | None = None
    kind: FrameKind = FrameKind.FEATURES


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A packet to send.

    Attributes:
        depends: it is a P, or names a context of before: it is worth something only behind the packet put before it.
        uncertain: a try broke off between command and answer, so it may have arrived.
        coded_s: when it was put into the outbox, by the outbox's clock.
        stored: its number in the spool, if it lies there.
        resumed: it was taken before the program was started.
        able: the camera makes masks if it is asked to.
    """

    record: FrameRecord
    packet: bytes
    depends: bool = False
    uncertain: bool = False
    coded_s: float = 0.0
    stored: int | None = None
    resumed: bool = False
    able: bool = False

    @property
    def size_on_link(self) -> int:
        """Bytes, about."""
        return len(self.packet) + FRAMING_BYTES


Fate = Callable[[FrameRecord, str | None], None]
"""Told once of every packet: ``None`` when sent, else why it was given up."""


class Outbox:
    """At most ``limit`` packets wait, none longer than ``most_age_s``, beside those in flight.

    Each fate is told once, under the lock.
    """

    def __init__(
        self,
        limit: int,
        fate: Fate,
        *,
        most_age_s: float = math.inf,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit = limit
        self._fate = fate
        self._most_age_s = most_age_s
        self._monotonic_s = monotonic_s
        self._changed = Condition()
        self._waiting: deque[Outgoing] = deque()
        self._flight: deque[Outgoing] = deque()
        self._sent = 0
        self._broken = False
        self._first_since_s = 0.0

    @property
    def waiting(self) -> int:
        """Packets that wait, without those in flight."""
        return len(self._waiting)

    @property
    def flying(self) -> int:
        """Packets that are in flight."""
        return len(self._flight)

    @property
    def first_in_line(self) -> tuple[int, float]:
        """Bytes on the link of the oldest unacknowledged packet, and seconds since it is that; zeros where none is.

        The seconds begin where the packet was put, if it was the first; a connection that breaks does not end them.
        """
        with self._changed:
            oldest = next(iter(self._flight or self._waiting), None)
            return (0, 0.0) if oldest is None else (oldest.size_on_link, self._monotonic_s() - self._first_since_s)

    @property
    def on_disk(self) -> tuple[int, int]:
        """Packets that lie on disk and were not read back, and the bytes that the disk gives for them."""
        return 0, 0

    @property
    def sent_or_hopeful(self) -> int:
        """Packets sent, waiting or in flight: all but those given up."""
        with self._changed:
            return self._sent + len(self._waiting) + len(self._flight)

    @property
    def chain_broken(self) -> bool:
        """Whether the packet that was put last has been dropped: a P coded now would be dropped too."""
        return self._broken

    def put(self, outgoing: Outgoing) -> None:
        """Queue a packet; the oldest makes room."""
        with self._changed:
            self._broken = self._broken and outgoing.depends
            if self._broken:
                self._fate(outgoing.record, REFERENCE_DROPPED)
                return
            now_s = self._monotonic_s()
            if not self._flight and not self._waiting:
                self._first_since_s = now_s
            self._waiting.append(replace(outgoing, coded_s=now_s))
            self._shed()
            self._changed.notify_all()

    def take(self, most: int, timeout_s: float, window_bytes: float = math.inf) -> list[Outgoing]:
        """Put packets in flight, in order, behind those that are: until ``most`` are, or more than ``window_bytes``.

        Waits for the first until ``timeout_s`` is over.
        """
        with self._changed:
            if not self._waiting:
                self._changed.wait(timeout_s)
            self._shed()
            taken = []
            flying_bytes = sum(outgoing.size_on_link for outgoing in self._flight)
            while self._waiting and len(self._flight) < most and flying_bytes <= window_bytes:
                taken.append(self._waiting.popleft())
                self._flight.append(taken[-1])
                flying_bytes += taken[-1].size_on_link
            return taken

    def wait_younger(self, age_s: float, timeout_s: float) -> bool:
        """Whether no packet is unacknowledged for longer than ``age_s``, within ``timeout_s``."""
        with self._changed:
            return self._changed.wait_for(lambda: self._oldest_s() <= age_s, timeout_s)

    def _oldest_s(self) -> float:
        self._shed()
        oldest = next(iter(self._flight or self._waiting), None)
        return 0.0 if oldest is None else self._monotonic_s() - oldest.coded_s

    def settle(self, latency: Estimate | None = None) -> None:
        """The oldest packet in flight has been acknowledged."""
        with self._changed:
            self._first_since_s = self._monotonic_s()
            if self._flight:
                self._sent += 1
                self._fate(replace(self._flight.popleft().record, latency=latency), None)
            self._changed.notify_all()

    def overtaken(self) -> None:
        """The oldest packet in flight was refused, and one behind it was not: sent again it would come out of order."""
        with self._changed:
            if self._flight:
                self._drop(self._flight.popleft(), OVERTAKEN)

    def refused(self) -> None:
        """The oldest packet in flight is one that Redis never takes; P packets that need it go with it."""
        with self._changed:
            if self._flight:
                self._drop(replace(self._flight.popleft(), uncertain=False), REFUSED)
                self._drop_those_that_need_it()
            self._changed.notify_all()

    def give_back(self, *, uncertain: bool) -> None:
        """What is in flight was not acknowledged: it goes to the head of the queue again."""
        with self._changed:
            returned = [replace(item, uncertain=item.uncertain or uncertain) for item in self._flight]
            self._flight.clear()
            self._waiting.extendleft(reversed(returned))
            self._shed()

    def link_failed(self) -> None:
        """The sender cannot reach Redis: what waits in memory goes on waiting there."""

    def wait_empty(self, timeout_s: float) -> bool:
        """Whether all packets were settled within ``timeout_s``."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting and not self._flight, timeout_s)

    def wake(self) -> None:
        """End a ``take`` that waits."""
        with self._changed:
            self._changed.notify_all()

    def abandon(self) -> None:
        """Give up all that is left; what is settled afterwards counts no more."""
        with self._changed:
            for outgoing in self._flight:
                self._fate(outgoing.record, UNCONFIRMED)
            for outgoing in self._waiting:
                self._fate(outgoing.record, UNCONFIRMED if outgoing.uncertain else SHUTDOWN)
            self._flight.clear()
            self._waiting.clear()

    def _shed(self) -> None:
        while self._waiting and (reason := self._reason_to_drop(self._waiting[0])) is not None:
            self._drop_oldest(reason)
            self._drop_those_that_need_it()

    def _drop_those_that_need_it(self) -> None:
        while self._waiting and self._waiting[0].depends:
            self._drop_oldest(REFERENCE_DROPPED)
        self._broken = not self._waiting

    def _reason_to_drop(self, oldest: Outgoing) -> str | None:
        if self._monotonic_s() - oldest.coded_s > self._most_age_s:
            return EXPIRED
        return QUEUE_FULL if len(self._waiting) > self._limit else None

    def _drop_oldest(self, reason: str) -> None:
        self._drop(self._waiting.popleft(), reason)

    def _drop(self, outgoing: Outgoing, reason: str) -> None:
        self._fate(outgoing.record, UNCONFIRMED if outgoing.uncertain else reason)
