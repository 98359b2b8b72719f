"""Load is offered work over capacity. It grows with the streams in a straight line, and so may steer a scaler.

::

    load = frames/s offered x c(B)/B / instances

with c from :mod:`orchestrator.inference.cost` and B the largest batch within the latency budget. The busy share,
measured beside it, saturates at a fraction of the capacity while batches are small: it is shown, and steers nothing.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from orchestrator.inference.cost import BatchTotals, CostFit, totals_since
from orchestrator.inference.rate import Rate, half


@dataclass(frozen=True)
class LoadReading:
    """One reading. What rests on the cost is NaN until the first batch was executed.

    Attributes:
        load_ratio: work offered by this process over the whole capacity; those of several dispatchers add up.
        busy_ratio: share of the instances' time spent computing since the last reading, whoever asked for it.
        instances: instances of the model, on all servers together.
        replicas: servers that take work.
        capacity_frames_per_s: frames per second that all instances can do in the largest batches.
        cost_base_s, cost_per_frame_s: a and k of the cost of a batch.
    """

    load_ratio: float
    busy_ratio: float
    instances: int
    replicas: int
    capacity_frames_per_s: float
    cost_base_s: float
    cost_per_frame_s: float


class Measured(Protocol):
    """What the meter asks of a decoder."""

    @property
    def max_batch(self) -> int:
        """The largest batch that it takes."""
        ...

    async def batch_totals(self) -> Mapping[int, BatchTotals]:
        """See :meth:`orchestrator.inference.TritonDecoder.batch_totals`."""
        ...

    async def instances(self) -> int:
        """See :meth:`orchestrator.inference.TritonDecoder.instances`."""
        ...


class LoadMeter:
    """Counts the frames offered, learns the cost of batches, and reads both as a load.

    Args:
        decoder: whose server is measured.
        batch_budget_s: the longest that a batch may take; half of the objective of 500 ms leaves the rest to waiting.
        cost_half_life_s: how fast old costs are forgotten.
        rate_half_life_s: how fast the offered rate follows.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        decoder: Measured,
        *,
        batch_budget_s: float = 0.25,
        cost_half_life_s: float = 60.0,
        rate_half_life_s: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._decoder = decoder
        self._batch_budget_s = batch_budget_s
        self._cost_half_life_s = cost_half_life_s
        self._clock = clock
        self._polled_at = clock()
        self._offered = Rate(rate_half_life_s)
        self._totals: Mapping[int, BatchTotals] | None = None
        self._fit = CostFit()

    def observe_offered(self, frames: int) -> None:
        """Count frames that want inference, when they are admitted, whatever becomes of them."""
        self._offered.observe(frames)

    async def poll(self) -> LoadReading:
        """Read the server's statistics and what was offered since the last reading; ask about once a second.

        Raises:
            ServiceError: Triton cannot be reached; what was offered counts in the next reading.
        """
        totals, instances = await self._decoder.batch_totals(), await self._decoder.instances()
        now = self._clock()
        elapsed_s = max(now - self._polled_at, 1e-3)
        busy_ratio = self._take_totals(totals, elapsed_s, instances)
        frames_per_s = self._offered.take(elapsed_s)
        self._polled_at = now
        return self._reading(frames_per_s, busy_ratio, instances)

    def _take_totals(self, totals: Mapping[int, BatchTotals], elapsed_s: float, instances: int) -> float:
        """Learn from what was executed; answers the busy share. The first reading has only history, and no share."""
        executed = totals_since(totals, self._totals or {})
        self._fit = self._fit.observe(executed, keep=half(elapsed_s, self._cost_half_life_s))
        known, self._totals = self._totals is not None, totals
        compute_s = sum(each.compute_s for each in executed.values())
        return min(1.0, compute_s / (elapsed_s * max(1, instances))) if known else 0.0

    def _reading(self, frames_per_s: float, busy_ratio: float, instances: int) -> LoadReading:
        cost = self._fit.cost()
        if cost is None:
            return LoadReading(math.nan, busy_ratio, instances, 1, math.nan, math.nan, math.nan)
        batch = cost.largest_batch(self._batch_budget_s, self._decoder.max_batch)
        capacity = max(1, instances) * batch / max(cost.of(batch), 1e-9)
        return LoadReading(frames_per_s / capacity, busy_ratio, instances, 1, capacity, cost.base_s, cost.per_frame_s)
