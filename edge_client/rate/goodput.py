"""What the acknowledgements say of the link: round trip, goodput, and how long packets stand in line.

Packets are acknowledged in the order in which they were sent. The least time that anything took (a small question, as a
rule) is the round trip of the bare link. A packet's own bytes begin to cross when those before it have, at the earliest
a bare round trip before its acknowledgement could have come: what it takes from then on tells how fast the link is. All
times are monotonic seconds; sizes are bytes as they cross the link.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field, replace
from itertools import islice
from statistics import median

from edge_client.rate.packet_times import LinkSpeed, PacketTimes

ROUND_TRIP_MEMORY_S = 60.0
_GOODPUT_MEMORY_S = 3.0
_DELIVERIES = 64
_FILTER = 3
_RATES = 3
_QUICKEST_S = 0.002
_CLUMP_S = 0.010
_AWAY_S = 1.5


@dataclass(frozen=True, slots=True)
class Delivery:
    """Packets that Redis acknowledged at once; ``coded_s`` and ``sent_s``: when the oldest was ready, and left."""

    coded_s: float
    sent_s: float
    acked_s: float
    size_bytes: int


@dataclass
class LinkMeter:
    """The latest deliveries, read as a link.

    Attributes:
        away_until_s: when a packet was last acknowledged that had been on its way far longer than its bytes explain,
            so that the link must have been away.
        times: what packets of each size took.
    """

    away_until_s: float = -math.inf
    times: PacketTimes = field(default_factory=PacketTimes)
    _round_trips: deque[tuple[float, float]] = field(default_factory=deque)
    _deliveries: deque[Delivery] = field(default_factory=lambda: deque(maxlen=_DELIVERIES))
    _resized_s: float = -math.inf
    _expected_bytes_per_s: float = math.inf
    _clump_s: float = -math.inf
    _first_of_all: bool = False

    def probe(self, round_trip_s: float, now_s: float) -> None:
        """A question of a few bytes was answered in so long."""
        while self._round_trips and self._round_trips[-1][1] >= round_trip_s:
            self._round_trips.pop()
        self._round_trips.append((now_s, round_trip_s))
        while self._round_trips[0][0] < now_s - ROUND_TRIP_MEMORY_S:
            self._round_trips.popleft()

    def deliver(self, delivery: Delivery) -> None:
        """Packets were acknowledged. Those within a few milliseconds count as one: how they clump says nothing.

        Before anything else went to and fro the whole of the time counts as the packet's own: were its round trip taken
        to be bare, it would have taken no time at all.
        """
        nothing_before = not self._round_trips
        self.probe(delivery.acked_s - delivery.sent_s, delivery.acked_s)
        usual_s = delivery.size_bytes / self.service_bytes_per_s
        if delivery.acked_s - max(delivery.sent_s, self._acked_s) > _AWAY_S + usual_s:
            self.away_until_s = delivery.acked_s
        one_more = delivery.acked_s - self._clump_s < _CLUMP_S
        if one_more:
            before = self._deliveries.pop()
            size_bytes = before.size_bytes + delivery.size_bytes
            delivery = replace(before, acked_s=delivery.acked_s, size_bytes=size_bytes)
        else:
            self._clump_s, self._first_of_all = delivery.acked_s, nothing_before
        self._deliveries.append(delivery)
        latest, behind = self._newest
        seconds = latest.acked_s - latest.sent_s if self._first_of_all else self._seconds_of(latest, behind)
        self.times.took(latest.size_bytes, seconds, latest.acked_s, again=one_more)

    def resized(self, size_bytes: float, now_s: float) -> None:
        """Packets of another size are coded from now on: until one is acknowledged, what others took tells of it."""
        self._resized_s, self._expected_bytes_per_s = now_s, self.times.speed(now_s).of(size_bytes)

    @property
    def base_s(self) -> float:
        """The least round trip of the last minute; 0 before the first answer."""
        return self._round_trips[0][1] if self._round_trips else 0.0

    @property
    def delay_s(self) -> float:
        """From coded to acknowledged, beyond the bare round trip: the least of the last three deliveries.

        A minimum, as NADA (RFC 8698, 5.1.1) has it: a lost segment delays one delivery, a queue delays all. What was
        coded before the link came back says nothing of a queue.
        """
        latest = [each for each in self._latest(_FILTER) if each.coded_s >= self.away_until_s]
        if len(latest) < _FILTER:
            return 0.0
        return max(0.0, min(each.acked_s - each.coded_s for each in latest) - self.base_s)

    @property
    def goodput_bytes_per_s(self) -> float:
        """Bytes acknowledged a second, of late; infinite before there are two deliveries to tell from."""
        if len(self._deliveries) < 2:
            return math.inf
        since_s = self._deliveries[-1].acked_s - _GOODPUT_MEMORY_S
        first, *others = [each for each in self._deliveries if each.acked_s >= since_s]
        elapsed_s = others[-1].acked_s - first.acked_s if others else 0.0
        if elapsed_s <= 0:
            return self.service_bytes_per_s
        return sum(each.size_bytes for each in others) / elapsed_s

    @property
    def service_bytes_per_s(self) -> float:
        """How fast the link takes bytes while it takes some: the median of three packets of the size that is coded.

        Infinite before the first of all.
        """
        latest = self._latest(_RATES + 1)
        before = [None, *latest] if len(latest) <= _RATES else latest
        pairs = zip(before, latest[-_RATES:], strict=False)
        rates = [self._rate_of(each, behind) for behind, each in pairs if each.coded_s >= self._resized_s]
        return median(rates) if rates else self._expected_bytes_per_s

    @property
    def latest_bytes_per_s(self) -> float:
        """How fast the link took the latest delivery; infinite before the first."""
        return self._rate_of(*self._newest) if self._deliveries else math.inf

    def speed(self, now_s: float) -> LinkSpeed:
        """How fast the link takes packets of the size in use, and what is known of others."""
        return self.times.speed(now_s)

    @property
    def _newest(self) -> tuple[Delivery, Delivery | None]:
        """The latest delivery, and the one before."""
        latest = self._latest(2)
        return latest[-1], latest[0] if len(latest) == 2 else None

    @property
    def _acked_s(self) -> float:
        return self._deliveries[-1].acked_s if self._deliveries else -math.inf

    def _latest(self, most: int) -> list[Delivery]:
        return list(islice(self._deliveries, max(0, len(self._deliveries) - most), None))

    def _rate_of(self, delivery: Delivery, behind: Delivery | None) -> float:
        return delivery.size_bytes / max(_QUICKEST_S, self._seconds_of(delivery, behind))

    def _seconds_of(self, delivery: Delivery, behind: Delivery | None) -> float:
        """From when its own bytes began to cross."""
        begun_s = delivery.sent_s + self.base_s
        if behind is not None:
            begun_s = max(begun_s, behind.acked_s)
        return delivery.acked_s - begun_s
