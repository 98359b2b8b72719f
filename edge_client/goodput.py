"""What the acknowledgements say of the link: round trip, goodput, and how long packets stand in line.

The uplink has one batch on its way at a time. So the answer to a small question (the control record) tells the round
trip of the bare link, and what a batch takes beyond it was spent on its bytes, or behind those of others. All times
are monotonic seconds; sizes are bytes as they cross the link.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from statistics import median

ROUND_TRIP_MEMORY_S = 60.0
_GOODPUT_MEMORY_S = 3.0
_DELIVERIES = 8
_FILTER = 3
_RATES = 3
_QUICKEST_S = 0.002


@dataclass(frozen=True, slots=True)
class Delivery:
    """A batch that Redis acknowledged; ``coded_s`` is when the oldest packet in it was ready."""

    coded_s: float
    sent_s: float
    acked_s: float
    size_bytes: int


@dataclass
class LinkMeter:
    """The latest deliveries, read as a link."""

    _round_trips: deque[tuple[float, float]] = field(default_factory=deque)
    _deliveries: deque[Delivery] = field(default_factory=lambda: deque(maxlen=_DELIVERIES))

    def probe(self, round_trip_s: float, now_s: float) -> None:
        """A question of a few bytes was answered in so long."""
        while self._round_trips and self._round_trips[-1][1] >= round_trip_s:
            self._round_trips.pop()
        self._round_trips.append((now_s, round_trip_s))
        while self._round_trips[0][0] < now_s - ROUND_TRIP_MEMORY_S:
            self._round_trips.popleft()

    def deliver(self, delivery: Delivery) -> None:
        """A batch was acknowledged."""
        self.probe(delivery.acked_s - delivery.sent_s, delivery.acked_s)
        self._deliveries.append(delivery)

    @property
    def base_s(self) -> float:
        """The least round trip of the last minute; 0 before the first answer."""
        return self._round_trips[0][1] if self._round_trips else 0.0

    @property
    def delay_s(self) -> float:
        """From coded to acknowledged, beyond the bare round trip: the least of the last three batches.

        A minimum, as NADA (RFC 8698, 5.1.1) has it: a lost segment delays one batch, a queue delays all.
        """
        latest = list(self._deliveries)[-_FILTER:]
        if len(latest) < _FILTER:
            return 0.0
        return max(0.0, min(each.acked_s - each.coded_s for each in latest) - self.base_s)

    @property
    def goodput_bytes_per_s(self) -> float:
        """Bytes acknowledged a second, of late; infinite before there are two batches to tell from."""
        if len(self._deliveries) < 2:
            return math.inf
        since_s = self._deliveries[-1].acked_s - _GOODPUT_MEMORY_S
        first, *others = [each for each in self._deliveries if each.acked_s >= since_s] or [self._deliveries[-1]]
        elapsed_s = others[-1].acked_s - first.acked_s if others else 0.0
        if elapsed_s <= 0:
            return self.service_bytes_per_s
        return sum(each.size_bytes for each in others) / elapsed_s

    @property
    def service_bytes_per_s(self) -> float:
        """How fast the link takes a batch while it takes one: the median of three; infinite before the first."""
        rates = [self._rate_of(each) for each in list(self._deliveries)[-_RATES:]]
        return median(rates) if rates else math.inf

    @property
    def last_bytes_per_s(self) -> float:
        """The same of the last batch alone; infinite before the first."""
        return self._rate_of(self._deliveries[-1]) if self._deliveries else math.inf

    def _rate_of(self, delivery: Delivery) -> float:
        return delivery.size_bytes / max(_QUICKEST_S, delivery.acked_s - delivery.sent_s - self.base_s)
