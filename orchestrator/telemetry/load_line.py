"""Load against streams: the points that were seen, the line through them, and where it reaches the capacity."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

MOST_COUNTS = 96
POINTS_A_COUNT = 16
OLDEST_S = 3600.0
SETTLED_S = 15.0
_SAME_COUNT = 0.02


@dataclass(frozen=True, slots=True)
class Offer:
    """What so many streams offered to a bundle's decoders at a moment (monotonic seconds), frames per second."""

    at_s: float
    streams: int
    frames_per_s: float
    bundle: str


@dataclass(frozen=True, slots=True)
class LoadPoint:
    """The load that so many streams are: their offer over the present capacity."""

    streams: int
    load: float


@dataclass(frozen=True, slots=True)
class LoadLine:
    """load = intercept + slope x streams.

    Attributes:
        slope, intercept: load a stream, and load without streams.
        through_zero: only one count of streams was seen, so the line is drawn from it to the load of no streams, which
            is nothing.
        points: how many points it rests on.
        slope_error: the slope's standard error; NaN where there are too few points to tell.
        r_squared: the share of the points' variance that the line explains; NaN with one count of streams.
    """

    slope: float
    intercept: float
    through_zero: bool
    points: int = 0
    slope_error: float = math.nan
    r_squared: float = math.nan

    @property
    def capacity_streams(self) -> float | None:
        """Streams at a load of 1; ``None`` where the line does not rise to it."""
        if self.slope <= 0:
            return None
        streams = (1.0 - self.intercept) / self.slope
        return streams if streams > 0 else None

    def load_of(self, streams: float) -> float:
        """The load that so many streams would be."""
        return max(0.0, self.intercept + self.slope * streams)


def fit_line(points: Iterable[LoadPoint]) -> LoadLine | None:
    """The least-squares line; ``None`` where no point has streams."""
    seen = [(point.streams, point.load) for point in points]
    if not any(streams for streams, _ in seen):
        return None
    mean_x = math.fsum(x for x, _ in seen) / len(seen)
    mean_y = math.fsum(y for _, y in seen) / len(seen)
    spread = math.fsum((x - mean_x) ** 2 for x, _ in seen)
    if spread == 0:
        slope = mean_y / mean_x
        error = _error(math.fsum((y - mean_y) ** 2 for _, y in seen), len(seen) - 1, len(seen) * mean_x**2)
        return LoadLine(slope, 0.0, through_zero=True, points=len(seen), slope_error=error)
    slope = math.fsum((x - mean_x) * (y - mean_y) for x, y in seen) / spread
    intercept = mean_y - slope * mean_x
    left = math.fsum((y - intercept - slope * x) ** 2 for x, y in seen)
    total = math.fsum((y - mean_y) ** 2 for _, y in seen)
    error = _error(left, len(seen) - 2, spread)
    return LoadLine(slope, intercept, False, len(seen), error, 1 - left / total if total > 0 else math.nan)


def _error(left: float, freedom: int, spread: float) -> float:
    """The standard error of a slope, from the squares that are left and the spread of the streams."""
    return math.sqrt(left / freedom / spread) if freedom > 0 else math.nan


@dataclass
class Offers:
    """The newest offers of each count of streams, of the last hour.

    So an hour at one count does not push out what another count had shown. The offer is measured with a delay; what is
    from before it settled is left out. The capacity changes (instances come and go, the cost of a batch is learned),
    what streams offer does not: so offers are kept, and seen as loads of the capacity that there is.
    """

    _offers: dict[int, deque[Offer]] = field(default_factory=dict)
    _recent: deque[tuple[float, int]] = field(default_factory=deque)

    def add(self, point: Offer) -> bool:
        """Take an offer; answers whether it counts, or the number of streams has changed too lately."""
        while self._recent and self._recent[0][0] < point.at_s - SETTLED_S:
            self._recent.popleft()
        self._recent.append((point.at_s, point.streams))
        if not self._settled(point):
            return False
        self._offers.setdefault(point.streams, deque(maxlen=POINTS_A_COUNT)).append(point)
        self._forget(point.at_s)
        return True

    def points(self, bundle: str, capacity_frames_per_s: float) -> list[LoadPoint]:
        """The loads that the bundle's offers are of that capacity, by streams."""
        kept = [offer for count in sorted(self._offers) for offer in self._offers[count] if offer.bundle == bundle]
        return [LoadPoint(offer.streams, offer.frames_per_s / capacity_frames_per_s) for offer in kept]

    def _settled(self, point: Offer) -> bool:
        long_enough = point.at_s - self._recent[0][0] >= SETTLED_S * 0.8
        return long_enough and all(abs(n - point.streams) <= _SAME_COUNT * point.streams for _, n in self._recent)

    def _forget(self, now_s: float) -> None:
        fresh = {n: seen for n, seen in self._offers.items() if seen[-1].at_s >= now_s - OLDEST_S}
        if len(fresh) > MOST_COUNTS:
            del fresh[min(fresh, key=lambda n: fresh[n][-1].at_s)]
        self._offers = fresh
