"""Packets between the encoder and Redis: a bounded queue that gives up its oldest, and says what became of each.

::

    put ──► waiting ──take──► in flight ──settle──► sent
               │  ◄─give_back──┘  │
               └── dropped: queue_full, reference_dropped, shutdown, unconfirmed

A P packet is worth nothing without its reference. When a packet is dropped, so are the P packets behind it, up to the
next K; where none waits, the chain is broken until a K is put, and whoever codes asks ``chain_broken`` first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from threading import Condition

QUEUE_FULL, SHUTDOWN, UNCONFIRMED = "queue_full", "shutdown", "unconfirmed"
REFERENCE_DROPPED = "reference_dropped"


@dataclass(frozen=True, slots=True)
class FrameRecord:
    """What the journal says of a frame. Times in milliseconds."""

    sequence: int
    epoch: int
    name: str
    capture_ms: int
    size_bytes: int
    level: int
    network_ms: float
    coder_ms: float


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A packet to send.

    Attributes:
        predicted: it is a P: it decodes only behind the packet that was put before it.
        uncertain: a try broke off between command and answer, so it may have arrived.
    """

    record: FrameRecord
    packet: bytes
    predicted: bool = False
    uncertain: bool = False


Fate = Callable[[FrameRecord, str | None], None]
"""Told once of every packet: ``None`` when sent, else why it was given up."""


class Outbox:
    """At most ``limit`` packets wait, beside the batch in flight. Each fate is told once, under the lock."""

    def __init__(self, limit: int, fate: Fate) -> None:
        self._limit = limit
        self._fate = fate
        self._changed = Condition()
        self._waiting: deque[Outgoing] = deque()
        self._flight: list[Outgoing] = []
        self._sent = 0
        self._broken = False

    @property
    def waiting(self) -> int:
        """Packets that wait, without those in flight."""
        return len(self._waiting)

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
            self._broken = self._broken and outgoing.predicted
            if self._broken:
                self._fate(outgoing.record, REFERENCE_DROPPED)
                return
            self._waiting.append(outgoing)
            self._shed()
            self._changed.notify_all()

    def take(self, most: int, timeout_s: float) -> list[Outgoing]:
        """Put up to ``most`` packets in flight, waiting for the first; none after ``timeout_s``."""
        with self._changed:
            if not self._waiting:
                self._changed.wait(timeout_s)
            count = min(most, len(self._waiting))
            self._flight = [self._waiting.popleft() for _ in range(count)]
            return list(self._flight)

    def settle(self) -> None:
        """What is in flight has been acknowledged."""
        with self._changed:
            for outgoing in self._flight:
                self._sent += 1
                self._fate(outgoing.record, None)
            self._flight = []
            self._changed.notify_all()

    def give_back(self, *, uncertain: bool) -> None:
        """What is in flight was not acknowledged: it goes to the head of the queue again."""
        with self._changed:
            returned = [replace(item, uncertain=item.uncertain or uncertain) for item in self._flight]
            self._flight = []
            self._waiting.extendleft(reversed(returned))
            self._shed()

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
            self._flight = []
            self._waiting.clear()

    def _shed(self) -> None:
        while len(self._waiting) > self._limit:
            self._drop_oldest(QUEUE_FULL)
            while self._waiting and self._waiting[0].predicted:
                self._drop_oldest(REFERENCE_DROPPED)
            self._broken = not self._waiting

    def _drop_oldest(self, reason: str) -> None:
        oldest = self._waiting.popleft()
        self._fate(oldest.record, UNCONFIRMED if oldest.uncertain else reason)
