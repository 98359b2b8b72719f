"""What the samples say. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from benchmarks.pipeline.statistics_of import percentile_ms

WINDOW_S = 5.0


@dataclass(frozen=True, slots=True)
class Sample:
    """One second of a scenario; ``None`` where the autoscaler said nothing yet.

    Attributes:
        at_s: since the ramp began.
        streams: cameras that send; ``seen_streams``, those that the autoscaler knows of.
        load: offered work over the capacity of what is ready, by the autoscaler.
        replicas: servers, or instances, that are ready; ``wanted``, what was decided.
        p95_ms: of the masks of the last 5 s, from the frame's entry; ``None`` of none.
        masks_per_s: of the last 5 s.
    """

    at_s: float
    streams: int
    seen_streams: int | None
    load: float | None
    replicas: int | None
    wanted: int | None
    p95_ms: float | None
    masks_per_s: float


def recent(latencies: Sequence[tuple[float, float]], now_s: float) -> tuple[float | None, float]:
    """The p95 (ms) and the rate of the masks that came in the last seconds."""
    last = [latency for came_s, latency in latencies if came_s > now_s - WINDOW_S]
    return round(percentile_ms(last, 95), 1) if last else None, len(last) / WINDOW_S


def rises(throughput: Mapping[int, float]) -> bool:
    """Whether each replica adds to the frames per second."""
    rates = [throughput[count] for count in sorted(throughput)]
    return all(more > fewer for fewer, more in pairwise(rates))


def lost(sent: int, accounts: Mapping[str, int]) -> int:
    """Frames without a mask: every stream wants every frame."""
    return sent - accounts.get("mask", 0)


def relative_error(predicted: float, measured: float) -> float:
    """How far off a prediction was; NaN where nothing was measured."""
    return abs(predicted - measured) / measured if measured > 0 and math.isfinite(measured) else math.nan


def streams_at(at_s: float, *, up_s: float, hold_s: float, down_s: float, most: int) -> int:
    """How many cameras send: from one to ``most`` in a straight line, a while all, and back to one."""
    share = min(at_s / up_s, 1.0, max(0.0, (up_s + hold_s + down_s - at_s) / down_s))
    return max(1, round(1 + share * (most - 1)))
