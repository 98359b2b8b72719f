"""How well one figure orders networks as another does, and which of several points no other beats."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_DRAWS = 2000
_INTERVAL = (2.5, 97.5)


def kendall_tau(one: Sequence[float], other: Sequence[float]) -> float:
    """Kendall's tau-b of two figures of the same networks: 1 the same order, -1 the reverse; NaN where all are equal.

    Source: Kendall, "The Treatment of Ties in Ranking Problems", Biometrika 1945.

    Raises:
        ValueError: their numbers differ.
    """
    if len(one) != len(other):
        raise ValueError(f"{len(one)} figures beside {len(other)}")
    a, b = _orders(np.asarray(one, float)), _orders(np.asarray(other, float))
    ties = float(np.sqrt(float((a * a).sum()) * float((b * b).sum())))
    return float((a * b).sum()) / ties if ties else float("nan")


def _orders(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.sign(values[:, None] - values[None, :])


def tau_interval(one: Sequence[float], other: Sequence[float], seed: int = 0) -> tuple[float, float]:
    """95 % interval of :func:`kendall_tau`: networks drawn again with repetition.

    Raises:
        ValueError: their numbers differ, or there are fewer than three.
    """
    if len(one) < 3:
        raise ValueError(f"{len(one)} networks have no interval")
    a, b = np.asarray(one, float), np.asarray(other, float)
    chance = np.random.default_rng(seed)
    draws = chance.integers(len(a), size=(_DRAWS, len(a)))
    found = np.array([kendall_tau(a[drawn].tolist(), b[drawn].tolist()) for drawn in draws])
    low, high = np.nanpercentile(found, _INTERVAL)
    return float(low), float(high)


def pareto(points: Sequence[tuple[float, ...]]) -> list[int]:
    """Places of the points than which no other is lower in something and higher in nothing; of equal ones the first."""
    kept = []
    for place, point in enumerate(points):
        beaten = any(_no_worse(other, point) and other != point for other in points)
        if not beaten and point not in points[:place]:
            kept.append(place)
    return sorted(kept, key=lambda place: points[place])


def _no_worse(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return all(ours <= theirs for ours, theirs in zip(one, other, strict=True))
