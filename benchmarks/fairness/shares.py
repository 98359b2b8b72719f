"""What fair means, in numbers. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def fair_shares(capacity: float, offered: Sequence[float], weights: Sequence[float]) -> list[float]:
    """Weighted max-min shares: capacity by weight, and what a stream does not want goes to the others, by weight.

    Raises:
        ValueError: a weight that is not above 0, or lists of different lengths.
    """
    wanted, weight = np.asarray(offered, np.float64), np.asarray(weights, np.float64)
    if wanted.shape != weight.shape or (weight <= 0).any():
        raise ValueError("every stream has an offered rate and a weight above 0")
    shares = np.zeros_like(wanted)
    open_ones = np.ones(len(wanted), bool)
    left = min(capacity, float(wanted.sum()))
    while open_ones.any() and left > 0:
        level = left / weight[open_ones].sum()
        full = open_ones & (wanted <= level * weight)
        if not full.any():
            shares[open_ones] = level * weight[open_ones]
            break
        shares[full] = wanted[full]
        left -= float(wanted[full].sum())
        open_ones &= ~full
    return [float(share) for share in shares]


def worst_deviation(found: Sequence[float], due: Sequence[float]) -> float:
    """The largest relative difference between what was found and what is due, both as shares of their sums."""
    found_shares = np.asarray(found, np.float64) / sum(found)
    due_shares = np.asarray(due, np.float64) / sum(due)
    return float(np.abs(found_shares / due_shares - 1).max())
