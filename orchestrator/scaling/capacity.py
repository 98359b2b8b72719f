"""The capacity of a server, learned online: what a batch costs, and what instances do to one another.

::

    batch_stats ─┬─ slowly ──► c(b) = a + k·b, one shape a bundle ─┐
                 └─ quickly ─► s(n), the level at n instances ──────┴─► frames/s of a server, for the present mix

A server has n instances of *every* bundle, and its bundles share its processor. So load adds up over bundles::

    load = Σ over bundles of  frames/s x s(n)·c(B)/B / n / servers

with B the largest batch within the latency budget (decision 6 in ARCHITECTURE.md). The n instances of one bundle and
the n of another are taken as n, not 2n: what they bring together is only promised once, which rather under- than
overstates.

Two instances that work at the same time slow each other down: on one core to half, on a GPU that is not full hardly.
s(n) is the ratio of what batches took of late with n instances *at work* to what they cost by the shape. It is only
learned while at least half of the instances are busy: batches that found the others idle would promise a gain that is
not there. What was learned of a number of instances stays while there is another number: nothing newer is known of it.

Where a server may use only so many cores (a slot with a processor quota), it is also not taken to do more than these
allow, by the processor time that its batches cost: a batch that comes alone does not show it, for a quota lets it run
freely as long as nothing was used before it.

The shape is extrapolated from the batches that come to the largest, so it takes many of them, and is forgotten with a
half-life of ten minutes of traffic; the level follows a machine that others use too, with one of 30 s. Where only
single frames were seen, c(B) is taken as B·c(1): capacity is understated until batches form.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from orchestrator.inference.cost import BatchCost, BatchTotals, CostFit
from orchestrator.inference.rate import half
from orchestrator.scaling.server_watch import ServerLook

Mix = Mapping[str, float]
"""Frames/s by bundle."""

_BUDGET_S, _SHAPE_HALF_LIFE_S, _LEVEL_HALF_LIFE_S = 0.25, 600.0, 30.0
_ENOUGH_BATCHES = 10.0
_AT_WORK = 0.5
_ROUNDS = 6
_NONE = {1: BatchTotals()}


class CapacityModel:
    """Takes looks at servers, answers costs and rates. Servers are taken as alike.

    Args:
        max_batch: the largest batch that dispatchers send; a model's own limit lowers it.
        batch_budget_s: the longest that a batch may take; half of the objective of 500 ms leaves the rest to waiting.
    """

    def __init__(self, max_batch: int = 16, *, batch_budget_s: float = _BUDGET_S) -> None:
        self._max_batch, self._budget_s = max_batch, batch_budget_s
        self._limits: dict[str, int] = {}
        self._long: dict[tuple[str, int], CostFit] = {}
        self._lately: dict[tuple[str, int], CostFit] = {}
        self._shapes: dict[str, BatchCost] = {}
        self._levels: dict[int, float] = {}
        self._batches: dict[str, CostFit] = {}
        self._cpu_s = 0.0
        self._cores: float | None = None

    def learn(self, looks: Iterable[ServerLook]) -> None:
        """Take in what servers did since the last look; those that say nothing of it are passed over."""
        taken: dict[tuple[str, int], CostFit] = {}
        elapsed_s = 0.0
        for look in looks:
            self._limits |= look.max_batch
            self._cores = look.cores
            self._learn_cpu(look)
            n = look.instances
            if look.elapsed_s <= 0 or (n > 1 and look.busy_instances < _AT_WORK * n):
                continue
            elapsed_s = max(elapsed_s, look.elapsed_s)
            for bundle, executed in look.executed.items():
                if executed:
                    taken[bundle, n] = taken.get((bundle, n), CostFit()).observe(executed)
        if taken:
            for memory, half_life_s in ((self._long, _SHAPE_HALF_LIFE_S), (self._lately, _LEVEL_HALF_LIFE_S)):
                keep = half(min(elapsed_s, half_life_s), half_life_s)
                memory |= {key: _sum([(memory.get(key, CostFit()), keep), (fit, 1.0)]) for key, fit in taken.items()}
            self._settle()

    def cost(self, bundle: str, instances: int = 1) -> BatchCost | None:
        """What a batch of a bundle costs on one of so many instances; ``None`` until it was learned."""
        shape = self._shapes.get(bundle)
        if shape is None:
            return None
        level = self._level(instances)
        return BatchCost(shape.base_s * level, shape.per_frame_s * level)

    def bundles(self) -> tuple[str, ...]:
        """The bundles of which the cost is known."""
        return tuple(sorted(self._shapes))

    def rates(self, mix: Mix) -> dict[int, float]:
        """Frames/s of a server by its instances, for frames of this mix, as far as that was learned.

        A bundle of which nothing is known is taken to cost what the others do.
        """
        known = {bundle: rate for bundle, rate in mix.items() if bundle in self._shapes and rate > 0}
        if not known:
            known = dict.fromkeys(self._shapes, 1.0)
        if not known:
            return {}
        total = math.fsum(known.values())
        shares = {bundle: rate / total for bundle, rate in known.items()}
        return {n: 1 / math.fsum(share * self._frame_s(b, n) for b, share in shares.items()) for n in self._levels}

    def _frame_s(self, bundle: str, instances: int) -> float:
        """Seconds of a whole server with so many instances for one frame, in the largest batches."""
        cost = self.cost(bundle, instances)
        if cost is None:  # rates() asks for none of these
            raise KeyError(bundle)
        batch = cost.largest_batch(self._budget_s, min(self._max_batch, self._limits.get(bundle) or self._max_batch))
        return max(cost.of(batch) / batch / instances, self._limited_s(bundle), 1e-9)

    def _learn_cpu(self, look: ServerLook) -> None:
        """Follow what batches used of the processor, and which batches they were."""
        if look.cpu_s is None or look.elapsed_s <= 0 or not any(look.executed.values()):
            return
        keep = half(min(look.elapsed_s, _LEVEL_HALF_LIFE_S), _LEVEL_HALF_LIFE_S)
        self._cpu_s = keep * self._cpu_s + look.cpu_s
        self._batches = {
            bundle: self._batches.get(bundle, CostFit()).observe(look.executed.get(bundle, {}) or _NONE, keep=keep)
            for bundle in {*self._batches, *look.executed}
        }

    def _limited_s(self, bundle: str) -> float:
        """Seconds of a whole server for one frame by its quota of the processor; 0 while nobody says.

        What was used is shared out among bundles by what their batches cost. A frame in a larger batch is taken to use
        as much: waits for the quota look like a cost of each batch, and are none.
        """
        due_s = {
            each: self._shapes[each].base_s * fit.weight + self._shapes[each].per_frame_s * fit.b
            for each, fit in self._batches.items()
            if each in self._shapes and fit.b > 0
        }
        total_s = math.fsum(due_s.values())
        if not self._cores or bundle not in due_s or total_s <= 0:
            return 0.0
        return self._cpu_s * due_s[bundle] / total_s / self._batches[bundle].b / self._cores

    def _level(self, instances: int) -> float:
        lower = [n for n in self._levels if n <= instances]
        return self._levels[max(lower)] if lower else 1.0

    def _settle(self) -> None:
        """One shape a bundle, one level a number of instances: least squares of each, given the other, in turn."""
        evidence: dict[int, float] = {}
        for (_, n), fit in self._long.items():
            evidence[n] = evidence.get(n, 0.0) + fit.weight
        numbers = sorted(n for n, batches in evidence.items() if batches >= _ENOUGH_BATCHES)
        if not numbers:
            return
        slowdowns = dict.fromkeys(numbers, 1.0)
        for _ in range(_ROUNDS):
            shapes = self._shapes_given(slowdowns)
            ratios = {n: _ratio(self._long, n, shapes) for n in numbers}
            slowdowns = {n: ratio / ratios[numbers[0]] for n, ratio in ratios.items()}
        self._shapes = self._shapes_given(slowdowns)
        self._levels = {n: _ratio(self._lately, n, self._shapes) for n in numbers}

    def _shapes_given(self, slowdowns: Mapping[int, float]) -> dict[str, BatchCost]:
        shapes: dict[str, BatchCost] = {}
        for bundle in {bundle for bundle, n in self._long if n in slowdowns}:
            parts = [
                (_eased(fit, slowdowns[n]), 1.0) for (b, n), fit in self._long.items() if b == bundle and n in slowdowns
            ]
            if (cost := _sum(parts).cost()) is not None:
                shapes[bundle] = cost
        return shapes


def _ratio(memory: Mapping[tuple[str, int], CostFit], instances: int, shapes: Mapping[str, BatchCost]) -> float:
    """What batches took with so many instances over what they would have taken by the shapes."""
    fits = [(fit, shapes[bundle]) for (bundle, n), fit in memory.items() if n == instances and bundle in shapes]
    due_s = math.fsum(shape.base_s * fit.weight + shape.per_frame_s * fit.b for fit, shape in fits)
    return math.fsum(fit.c for fit, _ in fits) / due_s if due_s > 0 else 1.0


def _eased(fit: CostFit, slowdown: float) -> CostFit:
    """The same batches, had nothing slowed them down."""
    return CostFit(fit.weight, fit.b, fit.bb, fit.c / slowdown, fit.bc / slowdown)


def _sum(parts: Iterable[tuple[CostFit, float]]) -> CostFit:
    """Moments added up, each with its weight."""
    kept = [(fit.weight * share, fit.b * share, fit.bb * share, fit.c * share, fit.bc * share) for fit, share in parts]
    return CostFit(*(math.fsum(column) for column in zip(*kept, strict=True)))
