"""What frame rates cameras are asked to keep to while more is offered than can be decoded.

::

    offered by each stream ─► demand (what it would send unthrottled) ─┐
    capacity, load, waiting, lateness ─► budget ───────────────────────┴─► weighted max-min ─► level ─► caps

A frame that is never sent costs neither link nor queue, and its camera knows; one that is sent and skipped costs both.
So rates are lowered as soon as frames begin to wait, fairly by weight, and raised again slowly. A rate that was
lowered hides what its camera would send: the demand before is remembered, for the autoscaler must see that.

Weighted max-min: Bertsekas and Gallager, "Data Networks", 2nd edition, 6.5.2.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

LEAST_FRAMES_PER_S, MOST_FRAMES_PER_S = 0.5, 240.0
_FULL_LOAD = 0.95
_LONG_WAIT_S = 0.1
_LATE_RATIO = 0.05
_PRESSED_FOR_S = 2.0
_BUDGET_SHARE, _LEAST_BUDGET_SHARE = 0.9, 0.3
_LESS, _AGAIN_AFTER_S = 0.85, 3.0
_MORE_PER_S = 0.02
_RECOVERY_PER_S = 0.08
_USES_ITS_CAP = 0.7
_WANTS_LESS_AFTER_S = 5.0


@dataclass(frozen=True, slots=True)
class Offered:
    """What one stream sends of late. One that is not ``realtime`` wants every frame decoded and is left alone."""

    weight: float
    frames_per_s: float
    realtime: bool = True


@dataclass(frozen=True, slots=True)
class Pressure:
    """How the decoders stand.

    Attributes:
        capacity_frames_per_s: of it, what these streams may use; NaN while it is not known.
        load_ratio: what all cameras would send unthrottled, over the capacity.
        wait_s: how long frames waited for a batch of late.
        late_ratio: share of the realtime frames since the last look that were late or skipped.
    """

    capacity_frames_per_s: float
    load_ratio: float
    wait_s: float
    late_ratio: float


@dataclass(slots=True)
class _Memory:
    demand: float
    less_since_s: float | None = None


class Throttle:
    """One dispatcher's streams. Pure but for its memory; times are monotonic seconds."""

    def __init__(self) -> None:
        self._memory: dict[str, _Memory] = {}
        self._caps: dict[str, float] = {}
        self._level = math.inf
        self._share = _BUDGET_SHARE
        self._pressed_since_s: float | None = None
        self._lowered_s = -math.inf
        self._looked_s: float | None = None

    def demand(self, stream: str) -> float:
        """What a stream would send unthrottled, frames/s, as far as is known; 0 for one that is not."""
        memory = self._memory.get(stream)
        return 0.0 if memory is None else memory.demand

    def decide(self, streams: Mapping[str, Offered], pressure: Pressure, now_s: float) -> dict[str, float]:
        """The cap of each stream that shall have one, frames/s. Ask about once a second."""
        elapsed_s = 0.0 if self._looked_s is None else max(0.0, now_s - self._looked_s)
        self._looked_s = now_s
        self._remember(streams, now_s)
        self._adapt_budget(pressure, now_s, elapsed_s)
        self._move_level(streams, pressure, now_s, elapsed_s)
        self._caps = {
            name: cap
            for name, stream in streams.items()
            if stream.realtime and (cap := _cap(self._level * stream.weight)) < self.demand(name)
        }
        if not self._caps:
            self._level, self._share = math.inf, _BUDGET_SHARE
        return dict(self._caps)

    def _remember(self, streams: Mapping[str, Offered], now_s: float) -> None:
        """A stream that keeps to its cap wants what it sent before; one that stays far below wants less by now."""
        self._memory = {name: self._memory.get(name, _Memory(0.0)) for name in streams}
        for name, stream in streams.items():
            memory, cap = self._memory[name], self._caps.get(name)
            if cap is None or stream.frames_per_s > memory.demand:
                memory.demand, memory.less_since_s = stream.frames_per_s, None
            elif stream.frames_per_s >= _USES_ITS_CAP * cap:
                memory.less_since_s = None
            elif memory.less_since_s is None:
                memory.less_since_s = now_s
            elif now_s - memory.less_since_s >= _WANTS_LESS_AFTER_S:
                memory.demand, memory.less_since_s = stream.frames_per_s, None

    def _adapt_budget(self, pressure: Pressure, now_s: float, elapsed_s: float) -> None:
        """Less of the capacity where frames are late even so: it was taken for more than it is."""
        if not self._caps:
            return
        if pressure.late_ratio > _LATE_RATIO and now_s - self._lowered_s >= _AGAIN_AFTER_S:
            self._share, self._lowered_s = max(_LEAST_BUDGET_SHARE, _LESS * self._share), now_s
        elif pressure.late_ratio == 0:
            self._share = min(_BUDGET_SHARE, self._share + _MORE_PER_S * elapsed_s)

    def _move_level(self, streams: Mapping[str, Offered], pressure: Pressure, now_s: float, elapsed_s: float) -> None:
        due = self._level_due(streams, pressure)
        pressed = self._pressed_long(pressure, now_s)
        if due < self._level and (pressed or self._caps):
            if math.isinf(self._level):
                self._lowered_s = now_s
            self._level = due
        elif due > self._level and pressure.late_ratio <= _LATE_RATIO:
            self._level = min(due, self._level * (1 + _RECOVERY_PER_S * elapsed_s))

    def _level_due(self, streams: Mapping[str, Offered], pressure: Pressure) -> float:
        """Frames/s for each unit of weight that use up the budget; what is not known leaves it as it is."""
        if math.isnan(pressure.capacity_frames_per_s):
            return self._level
        rest = sum(stream.frames_per_s for stream in streams.values() if not stream.realtime)
        budget = max(0.0, self._share * pressure.capacity_frames_per_s - rest)
        realtime = [(self.demand(name), stream.weight) for name, stream in streams.items() if stream.realtime]
        level = fair_level(budget, realtime)
        most = max((demand / weight for demand, weight in realtime), default=0.0)
        return most * (1 + _RECOVERY_PER_S) if math.isinf(level) and not math.isinf(self._level) else level

    def _pressed_long(self, pressure: Pressure, now_s: float) -> bool:
        full = pressure.load_ratio > _FULL_LOAD
        pressed = full and (pressure.wait_s > _LONG_WAIT_S or pressure.late_ratio > _LATE_RATIO)
        if not pressed:
            self._pressed_since_s = None
        elif self._pressed_since_s is None:
            self._pressed_since_s = now_s
        return self._pressed_since_s is not None and now_s - self._pressed_since_s >= _PRESSED_FOR_S


def fair_level(budget: float, streams: Sequence[tuple[float, float]]) -> float:
    """The level at which min(demand, level x weight) of all streams adds up to the budget; infinite if all fits.

    ``streams`` are pairs of demand and weight, which is above 0.
    """
    left, weights = budget, math.fsum(weight for _, weight in streams)
    if math.fsum(demand for demand, _ in streams) <= budget:
        return math.inf
    for demand, weight in sorted(streams, key=lambda each: each[0] / each[1]):
        if demand * weights > left * weight:
            return max(0.0, left / weights)
        left, weights = left - demand, weights - weight
    return math.inf


def _cap(frames_per_s: float) -> float:
    return min(MOST_FRAMES_PER_S, max(LEAST_FRAMES_PER_S, frames_per_s))
