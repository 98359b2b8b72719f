"""What is offered, what will be, and how many servers that takes."""

from __future__ import annotations

import math
from itertools import pairwise
from statistics import fmean

Samples = tuple[tuple[float, float], ...]

_PARTS = 4
_ROUNDING = 1e-9


def note(samples: Samples, frames_per_s: float, span_s: float, now_s: float) -> Samples:
    """Append what is offered now and forget what is older than the span."""
    first = next((i for i, (at_s, _) in enumerate(samples) if at_s >= now_s - span_s), len(samples))
    return (*samples[first:], (now_s, frames_per_s))


def slope_per_s(samples: Samples, span_s: float) -> float:
    """How fast the offered load rises, frames/s each second; 0 where it does not rise all the time.

    The span is cut into four parts, and the least rise from one part's mean to the next counts. A step falls into
    one part and shows in two of the three rises at most, so it is no trend; a ramp shows in all three.
    """
    if span_s <= 0 or not samples or samples[-1][0] - samples[0][0] < 0.75 * span_s:
        return 0.0
    first_s, length_s = samples[0][0], (samples[-1][0] - samples[0][0]) / _PARTS
    parts: list[list[float]] = [[] for _ in range(_PARTS)]
    for at_s, rate in samples:
        parts[min(_PARTS - 1, int((at_s - first_s) / length_s))].append(rate)
    if not all(parts):
        return 0.0
    return max(0.0, min(b - a for a, b in pairwise(map(fmean, parts))) / length_s)


def look_ahead(samples: Samples, span_s: float, horizon_s: float, limit: float) -> float:
    """What will be offered ``horizon_s`` from now if the trend holds: at most ``limit`` as a share more than now."""
    now = samples[-1][1]
    return min(now + slope_per_s(samples, span_s) * horizon_s, now * (1 + limit))


def servers_for(frames_per_s: float, server_frames_per_s: float, load: float) -> int:
    """Servers with which ``frames_per_s`` make at most this load."""
    return max(0, math.ceil(frames_per_s / (server_frames_per_s * load) - _ROUNDING))
