"""Rate-accuracy curves: read between their points in log rate, never beyond them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Point:
    """One operating point; ``miou`` is a share."""

    bits_per_pixel: float
    miou: float


Curve = tuple[Point, ...]
OVERLAP = 0.01
"""Where two curves share less mIoU than this share, a mean over it says nothing."""


def by_rate(points: Sequence[Point]) -> Curve:
    """Ascending in rate."""
    return tuple(sorted(points, key=lambda point: (point.bits_per_pixel, -point.miou)))


def envelope(points: Sequence[Point]) -> Curve:
    """Only the points that no other beats in both rate and accuracy, ascending in both."""
    best: list[Point] = []
    for point in by_rate(points):
        if not best or point.miou > best[-1].miou:
            best.append(point)
    return tuple(best)


def miou_at(curve: Curve, bits_per_pixel: float) -> float | None:
    """Linear in log rate; ``None`` outside the curve."""
    rates = [point.bits_per_pixel for point in curve]
    if not curve or not rates[0] <= bits_per_pixel <= rates[-1]:
        return None
    return float(np.interp(math.log(bits_per_pixel), np.log(rates), [point.miou for point in curve]))


def bits_at(curve: Curve, miou: float) -> float | None:
    """The bits per pixel at which an envelope reaches ``miou``; ``None`` outside it."""
    mious = [point.miou for point in curve]
    if not curve or not mious[0] <= miou <= mious[-1]:
        return None
    return float(math.exp(np.interp(miou, mious, np.log([point.bits_per_pixel for point in curve]))))


def common_rates(curves: Sequence[Curve], count: int) -> list[float]:
    """``count`` rates, even in log, over what all the curves cover; none where they have nothing in common."""
    low = max(curve[0].bits_per_pixel for curve in curves)
    high = min(curve[-1].bits_per_pixel for curve in curves)
    if low > high:
        return []
    inner = np.exp(np.linspace(math.log(low), math.log(high), count))[1:-1]
    return [low, *(float(rate) for rate in inner), high]


def margins(ours: Curve, theirs: Curve, rates: Sequence[float]) -> list[float]:
    """How far ours lies above theirs at each rate, in points of mIoU."""
    pairs = [(miou_at(ours, rate), miou_at(theirs, rate)) for rate in rates]
    return [100 * (a - b) for a, b in pairs if a is not None and b is not None]


@dataclass(frozen=True)
class BitSaving:
    """Mean difference in bits at equal accuracy, where both curves have it."""

    percent: float
    from_miou: float
    to_miou: float


def bd_rate(ours: Sequence[Point], theirs: Sequence[Point]) -> BitSaving | None:
    """Ours against theirs in percent of bits (negative: fewer), over the overlap of their envelopes; ``None`` without.

    Source: Bjøntegaard, VCEG-M33, 2001, with lines for cubics: they do not swing between few points.
    """
    mine, other = envelope(ours), envelope(theirs)
    low, high = max(mine[0].miou, other[0].miou), min(mine[-1].miou, other[-1].miou)
    if low >= high:
        return None
    knots = sorted({low, high, *(p.miou for p in (*mine, *other) if low < p.miou < high)})
    logs = [_log_ratio(mine, other, knot) for knot in knots]
    area = sum((a + b) / 2 * (y - x) for (x, a), (y, b) in itertools.pairwise(zip(knots, logs, strict=True)))
    return BitSaving(100 * math.expm1(area / (high - low)), low, high)


def _log_ratio(mine: Curve, other: Curve, miou: float) -> float:
    ours, theirs = bits_at(mine, miou), bits_at(other, miou)
    if ours is None or theirs is None:
        raise ValueError(f"mIoU {miou} lies outside the overlap")
    return math.log(ours / theirs)
