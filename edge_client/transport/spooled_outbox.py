"""The outbox with a disk behind it: completeness before freshness.

::

    put ──► waiting ──take──► in flight ──settle──► sent
               │  ▲                │ (on disk as well)
               ▼  └── read back    ▼
             spool ◄───────────────┘   full: drops by its policy

In good times the disk is left alone. Once the queue is full or the link fails, all that waits goes to disk, and while
frames lie there new ones go there too: what is in memory is always older than what lies unread on disk.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import replace
from itertools import chain

import structlog

from edge_client.spool import Spool
from edge_client.transport.outbox import REFERENCE_DROPPED, Fate, Outbox, Outgoing
from edge_client.transport.server_clock import Estimate

_LOG = structlog.get_logger("edge.spool")
SPOOL_FULL, SPOOL_FAILED, SPOOL_DAMAGED = "spool_full", "spool_failed", "spool_damaged"


class SpooledOutbox(Outbox):
    """An outbox that drops nothing while its spool takes frames in. Whoever made the spool closes it."""

    def __init__(self, limit: int, fate: Fate, spool: Spool) -> None:
        super().__init__(limit, fate)
        self._spool = spool
        self._put = self._given_up = 0
        self._key_wanted = self._orphaned = False
        self._ended = False

    @property
    def waiting(self) -> int:
        """Packets that wait, in memory and on disk, without those in flight."""
        return len(self._waiting) + self._spool.unread

    @property
    def on_disk(self) -> tuple[int, int]:
        """Packets that lie on disk and were not read back, and what the segments take."""
        with self._changed:
            return self._spool.unread, self._spool.size_bytes

    @property
    def sent_or_hopeful(self) -> int:
        """Packets of this run that were sent, wait or are in flight: all but those given up."""
        with self._changed:
            return self._put - self._given_up

    @property
    def chain_broken(self) -> bool:
        """Whether a K should be coded next: a P would be dropped, or the spool begins with one."""
        return self._broken or self._key_wanted

    def put(self, outgoing: Outgoing) -> None:
        """Queue a packet in memory; behind a full queue, or behind others on disk, on disk."""
        with self._changed:
            self._put += 1
            self._broken = self._broken and outgoing.depends
            self._key_wanted = self._key_wanted and outgoing.depends
            if not (self._broken or self._spool.unread) and len(self._waiting) < self._limit:
                super().put(outgoing)
            else:
                self._to_disk()
                self._store(outgoing)
                self._changed.notify_all()

    def take(self, most: int, timeout_s: float, window_bytes: float = math.inf) -> list[Outgoing]:
        """As in memory; the head of the queue comes from disk."""
        with self._changed:
            if not self.waiting:
                self._changed.wait(timeout_s)
            while not self._ended and len(self._flight) + len(self._waiting) < most and self._spool.unread:
                self._read_back()
            return super().take(most, 0.0, window_bytes)

    def settle(self, latency: Estimate | None = None) -> None:
        """The oldest packet in flight has been acknowledged, and need not lie on disk any more."""
        with self._changed:
            super().settle(latency)
            if not self._ended:
                self._confirm()

    def overtaken(self) -> None:
        """As in memory; it need not lie on disk any more."""
        with self._changed:
            super().overtaken()
            if not self._ended:
                self._confirm()

    def refused(self) -> None:
        """As in memory; P packets that need it are dropped as they come back from disk."""
        with self._changed:
            super().refused()
            self._orphaned = not self._waiting and self._spool.unread > 0
            if not self._ended:
                self._confirm()

    def link_failed(self) -> None:
        """What waits in memory goes to disk."""
        with self._changed:
            if not self._ended:
                self._to_disk()

    def wait_empty(self, timeout_s: float) -> bool:
        """Whether all packets, those on disk too, were settled within ``timeout_s``."""
        with self._changed:
            return self._changed.wait_for(lambda: not (self._flight or self.waiting), timeout_s)

    def abandon(self) -> None:
        """Leave what is unsent on disk for the next run; give up what cannot be left there."""
        with self._changed:
            self._waiting.extendleft(replace(item, uncertain=True) for item in reversed(self._flight))
            self._flight.clear()
            self._to_disk()
            self._waiting = deque(item for item in self._waiting if item.stored is None)
            super().abandon()
            self._ended = True

    def _shed(self) -> None:
        """Memory holds ``limit`` packets and those that came back; more go to disk as they are put."""

    def _drop(self, outgoing: Outgoing, reason: str) -> None:
        self._given_up += not outgoing.resumed
        super()._drop(outgoing, reason)

    def _to_disk(self) -> None:
        """Give what lies in memory alone a place on disk, unless something newer lies there."""
        if self._spool.unread:
            return
        self._flight = deque(self._backed(item) for item in self._flight)
        fresh: deque[Outgoing] = deque()
        while self._waiting and self._waiting[-1].stored is None:
            fresh.appendleft(self._waiting.pop())
        for outgoing in fresh:
            self._store(outgoing)

    def _backed(self, outgoing: Outgoing) -> Outgoing:
        """A packet in flight that lies on disk too, where it counts as read."""
        if outgoing.stored is None and self._refusal(outgoing) is None:
            read = self._spool.read()
            return outgoing if read is None else replace(outgoing, stored=read.outgoing.stored)
        return outgoing

    def _store(self, outgoing: Outgoing) -> None:
        if self._broken and outgoing.depends:
            self._drop(outgoing, REFERENCE_DROPPED)
            return
        self._key_wanted = outgoing.depends and (self._key_wanted or not self._spool.unread)
        refusal = self._refusal(outgoing)
        if refusal is not None:
            self._drop(outgoing, refusal)
        self._broken = refusal is not None or not self._spool.tip_decodes

    def _refusal(self, outgoing: Outgoing) -> str | None:
        """Append to the spool; why it does not take the packet in, if it does not."""
        try:
            dropped = self._spool.append(outgoing)
        except OSError as error:
            _LOG.error("spool_failed", cause=error.strerror, consequence="frames are dropped until the disk takes them")
            return SPOOL_FAILED
        for item in dropped:
            if item is not outgoing:
                self._drop(item, SPOOL_FULL)
        return SPOOL_FULL if any(item is outgoing for item in dropped) else None

    def _read_back(self) -> None:
        """Bring one packet to the end of the queue in memory, or drop it if its reference is gone."""
        read = self._spool.read()
        self._broken = self._broken or not self._spool.tip_decodes
        self._orphaned = self._orphaned and read is not None and read.outgoing.depends
        if read is not None and not (read.orphan or self._orphaned):
            self._waiting.append(replace(read.outgoing, coded_s=self._monotonic_s()))
            return
        if read is not None:
            self._drop(read.outgoing, REFERENCE_DROPPED)
        self._confirm()

    def _confirm(self) -> None:
        """All that was read and is not held here any more has met its fate."""
        first = next((item.stored for item in chain(self._flight, self._waiting) if item.stored is not None), None)
        self._spool.confirm(self._spool.read_upto if first is None else first - 1)
