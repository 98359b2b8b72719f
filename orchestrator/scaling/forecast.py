"""How many more cameras fit, and the line of load against streams."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from orchestrator.telemetry.load_line import LoadLine, LoadPoint, Offer, Offers, fit_line

_ALL = "all"
_GONE_S = 12.0


@dataclass(frozen=True, slots=True)
class Forecast:
    """What the present traffic says of more of it.

    Attributes:
        load: frames/s offered over what the servers that are ready can do; NaN until both are known.
        streams_left: how many more cameras like the present ones fit until the target load, with the servers there
            are; ``None`` until known.
        streams_left_at_most: the same with as many servers as there may be; ``None`` also where no limit is known.
        line: load against streams, at the present capacity.
        capacity_frames_per_s: of the servers that are ready; NaN until known.
    """

    load: float = math.nan
    streams_left: int | None = None
    streams_left_at_most: int | None = None
    line: LoadLine | None = None
    capacity_frames_per_s: float = math.nan

    def predict(self, streams: int) -> float:
        """The load that so many streams would be with the servers there are; NaN until there is a line."""
        return math.nan if self.line is None else self.line.load_of(streams)


class Forecaster:
    """Remembers what counts of streams offered.

    A stream counts for ten seconds after its last frame. So an offer is believed when its streams are still there a
    little later: else the last offers of cameras that went would say that many cameras are hardly a load. Until the
    first is believed, the line goes through the present one alone.
    """

    def __init__(self) -> None:
        self._offers = Offers()
        self._doubted: deque[Offer] = deque()
        self._per_stream: float | None = None

    def take(
        self,
        now_s: float,
        *,
        streams: int,
        frames_per_s: float,
        server_frames_per_s: float | None,
        ready: int,
        most: int | None,
        target_load: float,
    ) -> Forecast:
        """Take in one moment.

        Args:
            now_s: monotonic.
            streams: that are there.
            frames_per_s: that they offer.
            server_frames_per_s: what a server does; ``None``: not learned yet.
            ready: servers that take work.
            most: servers that there may be.
            target_load: 0 to 1.
        """
        if not math.isfinite(frames_per_s):
            return Forecast()
        self._note(Offer(now_s, streams, frames_per_s, _ALL))
        if server_frames_per_s is None:
            return Forecast()

        def left(servers: int) -> int | None:
            if not self._per_stream:
                return None
            spare = server_frames_per_s * servers * target_load - frames_per_s
            return max(0, math.floor(spare / self._per_stream))

        capacity = server_frames_per_s * ready
        if capacity <= 0:
            load = math.inf if frames_per_s > 0 else 0.0
            return Forecast(load, left(ready), None if most is None else left(most), capacity_frames_per_s=0.0)
        line = fit_line(self._offers.points(_ALL, capacity) or [LoadPoint(streams, frames_per_s / capacity)])
        return Forecast(frames_per_s / capacity, left(ready), None if most is None else left(most), line, capacity)

    def _note(self, offer: Offer) -> None:
        if self._doubted and self._doubted[-1].streams != offer.streams:
            self._doubted.clear()
        self._doubted.append(offer)
        if self._per_stream is None and offer.streams > 0 and offer.frames_per_s > 0:
            self._per_stream = offer.frames_per_s / offer.streams
        while self._doubted[0].at_s <= offer.at_s - _GONE_S:
            believed = self._doubted.popleft()
            if believed.streams > 0 and self._offers.add(believed) and believed.frames_per_s > 0:
                self._per_stream = believed.frames_per_s / believed.streams
