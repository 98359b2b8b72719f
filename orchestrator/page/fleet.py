"""All dispatchers together: rates over the last seconds, the objective over the last minutes, and what is wrong."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from orchestrator.page.reading import Counted, DispatcherReading
from orchestrator.telemetry.load_line import LoadLine, LoadPoint, Offer, Offers, fit_line

RATE_S = 5.0
OBJECTIVE_WINDOW_S = 300.0
TREND_POINTS = 120


@dataclass(frozen=True, slots=True)
class FleetView:
    """The fleet at one moment.

    Attributes:
        load: of the busiest bundle; ``None`` until a batch was measured.
        in_time_share: within the objective, over the last five minutes; ``None`` without frames.
        points, line: load against streams, at the present capacity.
        trends: ``masks_per_s``, ``kbit_per_s``, ``backlog_frames`` over the last two minutes, oldest first.
    """

    dispatchers: int
    away: Mapping[str, str]
    not_ready: tuple[str, ...]
    streams: int
    load: float | None
    busy: float | None
    instances: int
    capacity_frames_per_s: float
    in_time_share: float | None
    frames_due: int
    backlog_frames: int
    backlog_age_s: float
    masks_per_s: float
    kbit_per_s: float
    points: tuple[LoadPoint, ...]
    line: LoadLine | None
    trends: Mapping[str, tuple[float, ...]]


@dataclass
class Counts:
    """What was counted in the last minutes, by second. A dispatcher's first reading is where counting begins."""

    _last: dict[str, Counted] = field(default_factory=dict)
    _steps: deque[tuple[float, Counted]] = field(default_factory=deque)

    def take(self, at_s: float, readings: Mapping[str, DispatcherReading]) -> None:
        """The readings of one round, by address."""
        grown = Counted()
        for address, reading in readings.items():
            if (before := self._last.get(address)) is not None:
                grown += reading.counted.since(before)
            self._last[address] = reading.counted
        self._steps.append((at_s, grown))
        while self._steps[0][0] < at_s - OBJECTIVE_WINDOW_S:
            self._steps.popleft()

    def over(self, seconds: float) -> tuple[Counted, float]:
        """The counts of the last seconds, and how many seconds these are."""
        if len(self._steps) < 2:
            return Counted(), 0.0
        end_s = self._steps[-1][0]
        begin_s = next(at for at, _ in self._steps if at >= end_s - seconds)
        total = Counted()
        for at_s, grown in self._steps:
            if at_s > begin_s:
                total += grown
        return total, end_s - begin_s


class FleetHistory:
    """Takes a round of readings once a second and keeps a bounded past."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._counts = Counts()
        self._offers = Offers()
        self._trend: deque[tuple[float, float, float]] = deque(maxlen=TREND_POINTS)

    def take(self, readings: Mapping[str, DispatcherReading], away: Mapping[str, str]) -> FleetView:
        """One round: what answered, by address, and why the others did not."""
        now_s, all_readings = self._clock(), list(readings.values())
        self._counts.take(now_s, readings)
        streams = sum(each.streams for each in all_readings)
        load, bundle = _busiest(all_readings)
        instances = max((each.instances.get(bundle, 0) for each in all_readings), default=0)
        capacity = max((each.capacity.get(bundle, 0.0) for each in all_readings), default=0.0)
        if load is not None and not away:
            self._offers.add(Offer(now_s, streams, load * capacity, bundle))
        points = tuple(self._offers.points(bundle, capacity)) if capacity > 0 else ()
        lately, lately_s = self._counts.over(RATE_S)
        window, _ = self._counts.over(OBJECTIVE_WINDOW_S)
        masks_per_s = lately.masks / lately_s if lately_s else 0.0
        kbit_per_s = lately.payload_bytes * 8 / 1000 / lately_s if lately_s else 0.0
        backlog = sum(each.backlog_frames for each in all_readings)
        self._trend.append((masks_per_s, kbit_per_s, float(backlog)))
        names = ("masks_per_s", "kbit_per_s", "backlog_frames")
        return FleetView(
            dispatchers=len(readings) + len(away),
            away=dict(away),
            not_ready=tuple(sorted({reason for each in all_readings for reason in each.not_ready})),
            streams=streams,
            load=load,
            busy=max((each.busy.get(bundle, 0.0) for each in all_readings), default=None),
            instances=instances,
            capacity_frames_per_s=capacity,
            in_time_share=window.in_time_share,
            frames_due=round(window.timed + window.skipped),
            backlog_frames=backlog,
            backlog_age_s=max((each.backlog_age_s for each in all_readings), default=0.0),
            masks_per_s=masks_per_s,
            kbit_per_s=kbit_per_s,
            points=points,
            line=fit_line(points),
            trends=dict(zip(names, zip(*self._trend, strict=True), strict=True)),
        )


def _busiest(readings: list[DispatcherReading]) -> tuple[float | None, str]:
    """The highest load of a bundle, and which: what several dispatchers offer to one bundle adds up."""
    loads: dict[str, float] = {}
    for reading in readings:
        for bundle, load in reading.load.items():
            loads[bundle] = loads.get(bundle, 0.0) + load
    if not loads:
        return None, ""
    bundle = max(loads, key=lambda each: loads[each])
    return loads[bundle], bundle
