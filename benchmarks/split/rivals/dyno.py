"""DynO (Almeida et al., ACM TECS 2022): cut and precision together, for the user's objective.

Offline, every cut has an accuracy at each precision; those below what the user asks for are left out. At run time the
profiled times of device and server are scaled by what is measured of both, bandwidth is averaged over the last
transfers, and where an estimate has moved by more than a tenth since the last choice, the best design is chosen anew.
What crosses is quantised per channel, its bits are shuffled, and LZ4 packs them; with our coder instead, it chooses
among the very designs that ours has.

To its favour: it knows the device's speed and the cloud's load; ranges are by channel and calibrated, where the paper's
are by tensor.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from benchmarks.split.scheduler import Seen
from narrows.contract.schedule import Design, Objective

_GAIN, _MOVED, _FULLEST = 0.3, 0.1, 0.99


class Dyno:
    """The scheduler."""

    begins_anew = False

    def __init__(self, designs: Sequence[Design], objective: Objective, quota: float) -> None:
        self._designs, self._objective, self._quota = designs, objective, quota
        self._slower, self._bandwidth = 1.0, math.inf
        self._latest = math.inf
        self._chosen: Design | None = None
        self._by: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def choose(self, seen: Seen) -> Design:
        """Anew where something moved."""
        self._average(seen.latest_bytes_per_s)
        now = (self._bandwidth, self._slower, 1 - min(seen.cloud_load, _FULLEST))
        if self._chosen is None or any(_moved(a, b) for a, b in zip(now, self._by, strict=True)):
            self._by = now
            self._chosen = min(self._designs, key=self._cost)
        return self._chosen

    def head_took(self, design: Design, seconds: float, now_s: float) -> None:
        """Scales the profile."""
        del now_s
        if design.device_s:
            self._slower += _GAIN * (seconds * self._quota / design.device_s - self._slower)

    def _average(self, latest: float) -> None:
        if latest in (math.inf, self._latest):
            return
        self._latest = latest
        known = self._bandwidth
        self._bandwidth = latest if known == math.inf else known + _GAIN * (latest - known)

    def _cost(self, design: Design) -> tuple[float, float]:
        bandwidth, slower, left = self._by
        device_s = (design.device_s or 0.0) / self._quota * slower
        link_s = design.link_bytes / bandwidth if bandwidth < math.inf else 0.0
        stages = device_s, link_s, design.server_s / left
        return (max(stages) if self._objective is Objective.THROUGHPUT else sum(stages)), design.link_bytes


def _moved(now: float, before: float) -> bool:
    if now == before:
        return False
    return before in (0.0, math.inf) or now == math.inf or abs(now / before - 1) > _MOVED
