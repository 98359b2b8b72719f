"""Figures from times: percentiles, steady rates, ratios. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_EDGE = 0.1


def percentile_ms(latencies_s: Sequence[float], percent: float) -> float:
    """A percentile of latencies in seconds, as milliseconds (linear between ranks); NaN of none."""
    return float(np.percentile(latencies_s, percent)) * 1000 if len(latencies_s) else float("nan")


def steady_rate(ended_s: Sequence[float]) -> float:
    """Frames a second while work never ran out: the slope of a line through the middle 80 % of the ends.

    Frames end batch by batch, so a count within a window would be off by a batch at both of its edges.

    Raises:
        ValueError: fewer than 10 ends, or all at once.
    """
    ends = np.sort(np.asarray(ended_s, dtype=np.float64))
    cut = int(len(ends) * _EDGE)
    middle = ends[cut : len(ends) - cut]
    if len(ends) < 10 or middle[-1] <= middle[0]:
        raise ValueError(f"{len(ends)} ends are too few, or too close, for a rate")
    times, ranks = middle - middle.mean(), np.arange(len(middle)) - (len(middle) - 1) / 2
    return float((times * ranks).sum() / (times * times).sum())


def median_of(rounds: Sequence[float]) -> float:
    """The middle of several rounds."""
    return float(np.median(rounds))
