"""A histogram of times by stage that costs a frame little: counted as plain numbers, laid out when it is read.

A frame takes a time at each of eight stages, and prometheus_client's own histogram takes a lock and walks its buckets
for each. This one has no lock: it is written and read in the event loop alone.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence

from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString


class _Stage:
    __slots__ = ("counts", "sum_s")

    def __init__(self, buckets: int) -> None:
        self.counts = [0] * buckets
        self.sum_s = 0.0


class StageTimes(Collector):
    """A histogram with one label, ``stage``; a series begins with its first time."""

    def __init__(self, name: str, documentation: str, buckets_s: Sequence[float]) -> None:
        """``buckets_s``: their upper bounds, ascending; one without a bound follows."""
        self._name, self._documentation, self._bounds_s = name, documentation, tuple(buckets_s)
        self._stages: dict[str, _Stage] = {}

    def observe(self, stage: str, seconds: float, frames: int = 1) -> None:
        """Count the time that so many frames took each; below 0, where two clocks are compared, is 0."""
        found = self._stages.get(stage)
        if found is None:
            found = self._stages[stage] = _Stage(len(self._bounds_s) + 1)
        found.counts[bisect_left(self._bounds_s, seconds)] += frames
        if seconds > 0:
            found.sum_s += frames * seconds

    def describe(self) -> Iterator[HistogramMetricFamily]:
        """The family without its series."""
        yield self._family()

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """The family: each bucket counts what lies in those below it too."""
        family, names = self._family(), [*map(floatToGoString, self._bounds_s), "+Inf"]
        for stage, times in self._stages.items():
            counted, buckets = 0, []
            for name, count in zip(names, times.counts, strict=True):
                counted += count
                buckets.append((name, counted))
            family.add_metric([stage], buckets, times.sum_s)
        yield family

    def _family(self) -> HistogramMetricFamily:
        return HistogramMetricFamily(self._name, self._documentation, labels=["stage"])
