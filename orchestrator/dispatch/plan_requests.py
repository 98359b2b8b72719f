"""What a camera with a split network is told, for its planning: pin, the servers' load, and which cuts are served.

The load is what others take of a camera's share of the servers. What it offers itself is no part of it, in an overload
too: were it told, the camera would leave a tail because it uses it, and come back as soon as it had left. So it has

- all that the others leave, and at least what is its due by its weight, as batches are picked;
- where frames wait at its tail, what it got there of late: costs are learned over a minute, so what the servers can do
  is not known then. That is believed half as much every five seconds once nothing waits any more, or the camera left.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

from narrows.contract.bundle import SplitBundle
from narrows.contract.wire.control import MOST_SERVED_CUTS
from narrows.contract.wire.streams import StreamSettings
from orchestrator.inference.load import LoadReading
from orchestrator.inference.rate import Rate, half

_LEAST_PER_S = 0.1
_BELIEVED_HALF_LIFE_S = 5.0
OVERLOADED_WAIT_S = 0.5
"""Frames that wait longer for a batch miss the objective: the tail does less than was learned of it."""


class TailUse:
    """What one camera offers to each tail, and what comes back, in frames a second."""

    def __init__(self, half_life_s: float) -> None:
        self._wanted, self._answered = _Rates(half_life_s), _Rates(half_life_s)
        self._missed = 0.0

    def take(self, wanted: Mapping[str, int], answered: Mapping[str, int], elapsed_s: float) -> None:
        """``wanted``, ``answered``: frames that wanted each tail so far, and those that it answered."""
        self._wanted.take(wanted, elapsed_s)
        self._answered.take(answered, elapsed_s)
        self._missed *= half(elapsed_s, _BELIEVED_HALF_LIFE_S)

    def load_ratio(self, readings: Mapping[str, LoadReading | None]) -> float:
        """Its part of the load of all servers; tails of unknown capacity count as none, as they do in that of all."""
        load = 0.0
        for model, rate in self._wanted.of.items():
            reading = readings.get(model)
            capacity = math.nan if reading is None else reading.capacity_frames_per_s
            load += rate.per_s / capacity if math.isfinite(capacity) and capacity > 0 else 0.0
        return load

    def cloud_load(self, others: float, due: float, late_s: Mapping[str, float]) -> float:
        """The part of the servers' time that is not the camera's to have, 0 to 1.

        Args:
            others: what other cameras offer, over what the servers can do.
            due: its weight over that of all that want a decoder: max-min fairness gives it so much, or what is left.
            late_s: of tails at which frames wait, the seconds that a frame takes there by the plan.
        """
        here = [model for model in late_s if self._wanted.per_s(model) >= _LEAST_PER_S]
        if here:
            self._missed = 1 - min(1.0, sum(self._answered.per_s(model) * late_s[model] for model in here))
        return max(self._missed, 1 - min(1.0, max(1 - others, due)))


class _Rates:
    """Frames a second by model, of counts that only grow."""

    def __init__(self, half_life_s: float) -> None:
        self.of: dict[str, Rate] = {}
        self._half_life_s = half_life_s
        self._counted = Counter[str]()

    def take(self, counted: Mapping[str, int], elapsed_s: float) -> None:
        for model in counted:
            rate = self.of.setdefault(model, Rate(self._half_life_s))
            rate.observe(counted[model] - self._counted[model])
            rate.take(elapsed_s)
        self._counted = Counter(counted)

    def per_s(self, model: str) -> float:
        rate = self.of.get(model)
        return 0.0 if rate is None else rate.per_s


def plan_fields(bundle: SplitBundle, settings: StreamSettings, load: float) -> dict[str, Any]:
    """Fields of its control record. Pure.

    Args:
        bundle: that its latest frame named.
        settings: the stream's.
        load: :meth:`TailUse.cloud_load`.
    """
    served = tuple(tail.number for tail in bundle.tails)
    all_served = len(served) == len(bundle.manifest.cuts) or len(served) > MOST_SERVED_CUTS
    return {"design": settings.pinned, "cloud_load": round(load, 2), "cuts": None if all_served else served}
