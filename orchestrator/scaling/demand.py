"""What is offered, what will be, and how many servers that takes."""

from __future__ import annotations

import math
from itertools import pairwise
from statistics import fmean

Samples = tuple[tuple[float, float], ...]

_PARTS = 5
_ROUNDING = 1e-9
_MOST = 1e9


def note(samples: Samples, frames_per_s: float, span_s: float, now_s: float) -> Samples:
    """Append what is offered now and forget what is older than the span."""
    first = next((i for i, (at_s, _) in enumerate(samples) if at_s >= now_s - span_s), len(samples))
    return (*samples[first:], (now_s, frames_per_s))


def offered_now(samples: Samples, smoothing_s: float, jump: float) -> float:
    """What is offered, without its noise: the mean of the last seconds, or the last sample where it leapt from it."""
    now_s, last = samples[-1]
    mean = fmean(rate for at_s, rate in samples if at_s >= now_s - smoothing_s)
    return last if abs(last - mean) > mean * jump else mean


def slope_per_s(samples: Samples, span_s: float, jump: float) -> float:
    """How fast the offered load rises, frames/s each second; 0 where it does not rise all the time, and by ``jump``.

    The span is cut into five parts, and the second least of the four rises from one part's mean to the next counts. A
    step shows in two of them at most, so it is no trend; a ramp shows in all, and noise seldom hides it in two.
    """
    now_s = samples[-1][0]
    within = [each for each in samples if each[0] >= now_s - span_s]
    length_s = (now_s - within[0][0]) / _PARTS
    if span_s <= 0 or length_s * _PARTS < 0.75 * span_s:
        return 0.0
    parts: list[list[float]] = [[] for _ in range(_PARTS)]
    for at_s, rate in within:
        parts[min(_PARTS - 1, int((at_s - within[0][0]) / length_s))].append(rate)
    if not all(parts):
        return 0.0
    means = [fmean(part) for part in parts]
    if means[-1] <= means[0] * (1 + jump):
        return 0.0
    return max(0.0, sorted(b - a for a, b in pairwise(means))[1]) / length_s


def servers_for(frames_per_s: float, server_frames_per_s: float, load: float) -> int:
    """Servers with which ``frames_per_s`` make at most this load."""
    return max(0, math.ceil(min(frames_per_s / (server_frames_per_s * load), _MOST) - _ROUNDING))
