"""What a camera with a split network is told, for its planning: pin, the servers' load, and which cuts are served.

The load is that of the others. What a camera offers goes with the design that it uses: were it told its own part, too,
it would leave a tail because it uses it, and come back once it had left. An overload is told whole, for it is as much
the camera's making as the others': who offers what cannot be done has to find another design.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

from narrows.contract.bundle import SplitBundle
from narrows.contract.wire.control import MOST_SERVED_CUTS
from narrows.contract.wire.streams import StreamSettings
from orchestrator.inference.load import LoadReading
from orchestrator.inference.rate import Rate

_LEAST_PER_S = 0.1
OVERLOADED_WAIT_S = 0.5
"""Frames that wait longer for a batch miss the objective: what the tail can do, by costs learned over a minute, is more
than it does."""


class OwnDemand:
    """What one camera offers to each model, in frames a second: the camera's part of what the reports say of all."""

    def __init__(self, half_life_s: float) -> None:
        self._half_life_s = half_life_s
        self._rates: dict[str, Rate] = {}
        self._counted = Counter[str]()

    def take(self, wanted: Mapping[str, int], elapsed_s: float) -> None:
        """``wanted``: frames that wanted each model so far."""
        for model in wanted:
            rate = self._rates.setdefault(model, Rate(self._half_life_s))
            rate.observe(wanted[model] - self._counted[model])
            rate.take(elapsed_s)
        self._counted = Counter(wanted)

    def wants_any(self, models: Collection[str]) -> bool:
        """Whether it offers frames to one of these."""
        return any(model in models and rate.per_s >= _LEAST_PER_S for model, rate in self._rates.items())

    def load_ratio(self, readings: Mapping[str, LoadReading | None]) -> float:
        """Of all servers; models of unknown capacity count as none, as they do in the load of all cameras."""
        load = 0.0
        for model, rate in self._rates.items():
            reading = readings.get(model)
            capacity = math.nan if reading is None else reading.capacity_frames_per_s
            load += rate.per_s / capacity if math.isfinite(capacity) and capacity > 0 else 0.0
        return load


def plan_fields(
    bundle: SplitBundle, settings: StreamSettings, load_ratio: float, own_load_ratio: float
) -> dict[str, Any]:
    """Fields of its control record. Pure.

    Args:
        bundle: that its latest frame named.
        settings: the stream's.
        load_ratio: of all servers, by the demand of all cameras.
        own_load_ratio: this camera's part of it.
    """
    served = tuple(tail.number for tail in bundle.tails)
    all_served = len(served) == len(bundle.manifest.cuts) or len(served) > MOST_SERVED_CUTS
    return {
        "design": settings.pinned,
        "cloud_load": round(load_ratio if load_ratio >= 1 else max(0.0, load_ratio - own_load_ratio), 2),
        "cuts": None if all_served else served,
    }
