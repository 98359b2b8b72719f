"""A linear model of processor time, fitted to measurements by least squares, and what it says elsewhere. Pure.

Residuals are weighed by what was measured (relative errors count alike, idle points and busy ones). No cost is below
zero: a cost whose estimate is, is left out and the others are fitted anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TERMS = ("process", "shard", "stream", "frame")
"""What time is spent on: a second of a process, of a shard, of a stream, and a frame."""
TWO_SIGMA = 2.0
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Point:
    """One measurement: what was there, for how long, and the processor time it took."""

    processes: int
    shards: int
    streams: int
    frames: int
    span_s: float
    cpu_s: float

    def amounts(self) -> Floats:
        """How much of each of :data:`TERMS` there was."""
        return np.array(
            [self.processes * self.span_s, self.shards * self.span_s, self.streams * self.span_s, self.frames]
        )


@dataclass(frozen=True)
class Fit:
    """Costs in seconds for each of :data:`TERMS`, and how sure they are.

    Attributes:
        costs: seconds of processor time.
        covariance: of the costs.
        residuals: of each point, relative to what was measured.
        left_out: of each point, as foretold by a fit to all the others.
    """

    costs: Floats
    covariance: Floats
    residuals: Floats
    left_out: Floats

    def cores(self, processes: float, shards: float, streams: float, frames_per_s: float) -> tuple[float, float]:
        """Seconds a second, and twice the standard error: that of the costs, and the scatter of a measurement."""
        amounts = np.array([processes, shards, streams, frames_per_s])
        found = float(amounts @ self.costs)
        scatter = float(np.sqrt(np.mean(self.left_out**2))) * found
        return found, TWO_SIGMA * float(np.hypot(np.sqrt(amounts @ self.covariance @ amounts), scatter))


def fit(points: Sequence[Point]) -> Fit:
    """Fit the costs.

    Raises:
        ValueError: fewer points than costs and one more.
    """
    if len(points) <= len(TERMS):
        raise ValueError(f"{len(points)} points do not say what {len(TERMS)} costs are, and how sure")
    amounts, measured = np.array([p.amounts() for p in points]), np.array([p.cpu_s for p in points])
    costs, used = _solve(amounts, measured)
    residuals = amounts @ costs / measured - 1
    covariance = np.zeros((len(TERMS), len(TERMS)))
    scaled = amounts[:, used] / measured[:, None]
    spread = float(residuals @ residuals) / (len(points) - len(used))
    covariance[np.ix_(used, used)] = spread * np.linalg.inv(scaled.T @ scaled)
    others = [np.delete(np.arange(len(points)), i) for i in range(len(points))]
    left_out = [amounts[i] @ _solve(amounts[o], measured[o])[0] / measured[i] - 1 for i, o in enumerate(others)]
    return Fit(costs, covariance, residuals, np.array(left_out))


def as_json(found: Fit) -> Mapping[str, object]:
    """For the results file: costs in milliseconds."""
    errors = np.sqrt(np.diag(found.covariance))
    return {
        "cost_ms": {name: 1000 * float(cost) for name, cost in zip(TERMS, found.costs, strict=True)},
        "standard_error_ms": {name: 1000 * float(error) for name, error in zip(TERMS, errors, strict=True)},
        "residuals": [round(float(each), 4) for each in found.residuals],
        "rms_residual": float(np.sqrt(np.mean(found.residuals**2))),
        "rms_left_out": float(np.sqrt(np.mean(found.left_out**2))),
    }


def _solve(amounts: Floats, measured: Floats) -> tuple[Floats, list[int]]:
    """The costs, and which of them are above zero."""
    used = list(range(amounts.shape[1]))
    while True:
        scaled = amounts[:, used] / measured[:, None]
        found, *_ = np.linalg.lstsq(scaled, np.ones(len(measured)), rcond=None)
        if found.min() >= 0 or len(used) == 1:
            costs = np.zeros(amounts.shape[1])
            costs[used] = np.maximum(found, 0)
            return costs, used
        used.pop(int(found.argmin()))
