"""How long packets of each size took of late, and what that says of other sizes. Pure: the caller says what time it is.

A link is known by the packets that crossed it. Those of the size in use say how long the next one takes. Of larger
ones nothing is sure: a small packet passes a shaper's token bucket at once, and a device with a tenth of a core notices
its acknowledgement up to a tenth of a second late, so neither a short nor a long time is in proportion. Hence:

- **What was measured at a size is told of that size.** A line leads from the packets in use to larger ones of before.
- **It is believed less with time**: what those took longer than the ones in use halves every five seconds. So a size
  that failed is tried again the later the worse it failed. Of a size that was never tried, the link is believed to
  carry 1 Mbit/s, then twice as much every five seconds.
- **A larger packet takes no less than in proportion** to what the ones in use surely took: the least of their times,
  less what they scatter by.
- **A link that was away says nothing of a size**: one packet that took a second and a half more than twice its usual
  time is left out, a second one behind it is not.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from statistics import median, median_high

from narrows.contract.schedule.conditions import PRIOR_BYTES_PER_S, goodput_while_waiting
from narrows.contract.schedule.link_shape import IN_PROPORTION, LinkShape

HALVES_S = 5.0
SAME_SIZE = 1.5
"""Packets are of a size if one has no more than so many times the bytes of the other: scenes differ by less."""
_OF_A_SIZE = 3
_AT_A_TIME_S = 3.0
_QUICKEST_S = 0.002
_FORGOTTEN_S = 120.0
_AWAY_S = 1.5
_MOST_DOUBLINGS = 20
"""Of what an untried link is believed to carry: 1 Tbit/s. Two to the power of a camera's days is no float."""


@dataclass(frozen=True, slots=True)
class LinkSpeed:
    """How fast the link takes packets of the size in use, and how others go by that; infinite before the first.

    Attributes:
        tried_bytes: larger packets were not acknowledged within the last five seconds.
    """

    bytes_per_s: float = math.inf
    shape: LinkShape = IN_PROPORTION
    tried_bytes: float = math.inf

    def of(self, size_bytes: float) -> float:
        """Bytes a second in packets of this size."""
        return size_bytes * self.bytes_per_s / self.shape.counts_for(size_bytes)

    def while_waiting(self, size_bytes: float, waiting_s: float) -> LinkSpeed:
        """As a packet on its way tells it: how long it waits, beyond a bare round trip.

        A size that is tried takes that long or longer, which is told at once; a packet that waits twice its time and a
        second more tells that the link is away.
        """
        shape = self.shape
        if size_bytes > self.tried_bytes:
            shape = shape.at_least(size_bytes, waiting_s * self.bytes_per_s)
        goodput = goodput_while_waiting(self.bytes_per_s, self.shape.counts_for(size_bytes), waiting_s)
        return replace(self, bytes_per_s=goodput, shape=shape)


UNKNOWN = LinkSpeed()


@dataclass(frozen=True, slots=True)
class _Packet:
    size_bytes: int
    seconds: float
    at_s: float


@dataclass
class PacketTimes:
    """The latest few packets of each size."""

    _latest: list[_Packet] = field(default_factory=list)
    _begun_s: float | None = None
    _left_out: bool = False

    def took(self, size_bytes: int, seconds: float, at_s: float, *, again: bool = False) -> None:
        """A packet took so long, from when those before it had crossed; ``again``: instead of what was said last."""
        if again and self._left_out:
            self._left_out = False
        elif again and self._latest:
            self._latest.pop()
        self._begun_s = at_s if self._begun_s is None else self._begun_s
        new = _Packet(size_bytes, max(seconds, 0.0), at_s)
        alike = [each for each in self._latest if _same_size(each, new)]
        if alike and not self._left_out and new.seconds > _AWAY_S + 2 * _At.of(alike).seconds:
            self._left_out = True
            return
        self._left_out = False
        given_up = alike[: max(0, len(alike) - _OF_A_SIZE + 1)]
        self._latest = [each for each in self._latest if each not in given_up and each.at_s > at_s - _FORGOTTEN_S]
        self._latest.append(new)

    def speed(self, now_s: float) -> LinkSpeed:
        """What is known at this moment."""
        if not self._latest or self._begun_s is None:
            return UNKNOWN
        here = _At.of([each for each in self._latest if _same_size(each, self._latest[-1])])
        points = [(here.size_bytes, here.seconds)]
        for larger in self._larger(here):
            longer_s = max(0.0, larger.seconds - here.seconds) * math.exp2(-(now_s - larger.at_s) / HALVES_S)
            seconds = max(here.seconds + longer_s, here.surely_s * larger.size_bytes / here.size_bytes, points[-1][1])
            points.append((larger.size_bytes, seconds))
        goodput = here.size_bytes / here.seconds
        shape = tuple((size, seconds * goodput) for size, seconds in points)
        known_since_s = min(now_s - HALVES_S, self._latest[-1].at_s)
        tried = max(each.size_bytes for each in self._latest if each.at_s >= known_since_s)
        return LinkSpeed(goodput, LinkShape(shape, goodput / self._beyond(points, here, now_s)), SAME_SIZE * tried)

    def _larger(self, here: _At) -> Iterator[_At]:
        """Of the sizes above the one in use, the smallest first."""
        left = [each for each in self._latest if each.size_bytes > SAME_SIZE * here.size_bytes]
        while left:
            smallest = min(left, key=lambda each: each.size_bytes)
            alike = [each for each in left if _same_size(each, smallest)]
            left = [each for each in left if each not in alike]
            yield _At.of(alike)

    def _beyond(self, points: Sequence[tuple[float, float]], here: _At, now_s: float) -> float:
        """Bytes a second of a packet that is larger than all that are remembered."""
        largest, seconds = points[-1]
        if len(points) > 1:
            return largest / seconds
        believed = PRIOR_BYTES_PER_S * math.exp2(min((now_s - (self._begun_s or 0.0)) / HALVES_S, _MOST_DOUBLINGS))
        return min(here.size_bytes / max(here.surely_s, _QUICKEST_S), believed)


@dataclass(frozen=True, slots=True)
class _At:
    """Packets of one size: how long they took, and at least did beyond doubt; when the latest was acknowledged."""

    size_bytes: float
    seconds: float
    surely_s: float
    at_s: float

    @classmethod
    def of(cls, packets: Sequence[_Packet]) -> _At:
        """Of those near the latest in time."""
        at_s = packets[-1].at_s
        latest = [each for each in packets if each.at_s >= at_s - _AT_A_TIME_S]
        size_bytes = median(each.size_bytes for each in latest)
        took_s = [max(each.seconds * size_bytes / each.size_bytes, _QUICKEST_S) for each in latest]
        seconds = median_high(took_s)
        return cls(size_bytes, seconds, max(0.0, 2 * min(took_s) - seconds), at_s)


def _same_size(one: _Packet, other: _Packet) -> bool:
    return max(one.size_bytes, other.size_bytes) <= SAME_SIZE * min(one.size_bytes, other.size_bytes)
