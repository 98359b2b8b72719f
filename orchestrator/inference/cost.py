"""What a batch costs: c(b) = a + k·b, learned online from Triton's statistics.

``batch_stats`` of the statistics API charges an execution once. The Prometheus counters ``nv_inference_*_duration_us``
charge it to each of its requests, and read several times the truth when batches are joined.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

# Weight of the pull of a towards 0, relative to the data. With one batch size alone a and k cannot be told apart; then
# it decides for a = 0, which overstates the cost of larger batches: capacity is rather under- than overestimated.
_PULL = 1e-3


@dataclass(frozen=True)
class BatchTotals:
    """Executions of one batch size, and the seconds of compute that they took together."""

    executions: int = 0
    compute_s: float = 0.0

    def __add__(self, other: BatchTotals) -> BatchTotals:
        return BatchTotals(self.executions + other.executions, self.compute_s + other.compute_s)

    def since(self, earlier: BatchTotals) -> BatchTotals:
        """What was added since ``earlier``; all of it, if the counters were reset in between."""
        if self.executions < earlier.executions or self.compute_s < earlier.compute_s:
            return self
        return BatchTotals(self.executions - earlier.executions, self.compute_s - earlier.compute_s)


def totals_since(now: Mapping[int, BatchTotals], earlier: Mapping[int, BatchTotals]) -> dict[int, BatchTotals]:
    """What was executed between two readings, by batch size."""
    changes = {size: totals.since(earlier.get(size, BatchTotals())) for size, totals in now.items()}
    return {size: change for size, change in changes.items() if change.executions}


@dataclass(frozen=True)
class BatchCost:
    """A batch of b takes ``base_s + per_frame_s * b`` seconds of one instance."""

    base_s: float
    per_frame_s: float

    def of(self, batch: int) -> float:
        """Seconds for a batch."""
        return self.base_s + self.per_frame_s * batch

    def largest_batch(self, budget_s: float, max_batch: int) -> int:
        """The largest batch, from 1 to ``max_batch``, that keeps within ``budget_s``."""
        if self.per_frame_s <= 0:
            return max_batch
        return min(max_batch, max(1, int((budget_s - self.base_s) / self.per_frame_s)))


@dataclass(frozen=True)
class CostFit:
    """Exponentially forgotten least squares: the moments of (batch size, seconds), weighted by executions."""

    weight: float = 0.0
    b: float = 0.0
    bb: float = 0.0
    c: float = 0.0
    bc: float = 0.0

    def observe(self, executed: Mapping[int, BatchTotals], *, keep: float = 1.0) -> CostFit:
        """Take in what was executed; what was known before counts ``keep`` (0 to 1) of what it did."""
        if not executed:
            return self
        items = [(size, totals.executions, totals.compute_s) for size, totals in executed.items()]
        return CostFit(
            weight=keep * self.weight + sum(count for _, count, _ in items),
            b=keep * self.b + sum(size * count for size, count, _ in items),
            bb=keep * self.bb + sum(size * size * count for size, count, _ in items),
            c=keep * self.c + sum(seconds for _, _, seconds in items),
            bc=keep * self.bc + sum(size * seconds for size, _, seconds in items),
        )

    def cost(self) -> BatchCost | None:
        """The fit, with neither part below 0; ``None`` before the first execution."""
        if self.weight <= 0:
            return None
        weight = self.weight * (1 + _PULL)
        determinant = weight * self.bb - self.b * self.b
        base = (self.c * self.bb - self.bc * self.b) / determinant
        per_frame = (weight * self.bc - self.b * self.c) / determinant
        if base < 0:
            return BatchCost(0.0, self.bc / self.bb)
        if per_frame < 0:
            return BatchCost(self.c / self.weight, 0.0)
        return BatchCost(base, per_frame)
