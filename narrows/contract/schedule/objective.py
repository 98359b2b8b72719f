"""What a planner strives for, and what it must keep. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from narrows.contract.schedule.conditions import Estimate

_LEAST = 1e-12
ABOUT_THE_SAME = 0.02
"""Costs that differ by less are taken as equal: estimates are not that good. Half of the margin of hysteresis."""


class Objective(StrEnum):
    """What is made best."""

    LATENCY = "latency"
    THROUGHPUT = "throughput"
    DEVICE_ENERGY = "device energy"
    SERVER_COST = "server cost"


@dataclass(frozen=True, slots=True)
class Constraints:
    """What must be kept; ``None`` is no limit. Accuracy and memory do not depend on what is measured."""

    least_accuracy: float | None = None
    most_memory_bytes: int | None = None
    most_latency_s: float | None = None
    least_frames_per_s: float | None = None
    most_device_energy_j: float | None = None
    most_server_s: float | None = None

    def broken(self, found: Estimate) -> tuple[str, ...]:
        """Which are broken, by name."""
        return tuple(name for name, excess in self._excesses(found) if excess > 0)

    def excess(self, found: Estimate) -> tuple[float, float]:
        """How far they are broken, relative to the limits: the fixed ones (memory, accuracy), then the others."""
        fixed = sum(excess for name, excess in self._excesses(found) if name in ("accuracy", "memory"))
        others = sum(excess for name, excess in self._excesses(found) if name not in ("accuracy", "memory"))
        return fixed, others

    def _excesses(self, found: Estimate) -> Iterator[tuple[str, float]]:
        yield "accuracy", _below(found.accuracy, self.least_accuracy)
        yield "memory", _above(found.memory_bytes, self.most_memory_bytes)
        yield "latency", _above(found.latency_s, self.most_latency_s)
        yield "throughput", _below(found.frames_per_s, self.least_frames_per_s)
        yield "device energy", _above(found.device_energy_j, self.most_device_energy_j)
        yield "server cost", _above(found.server_s, self.most_server_s)


def cost(objective: Objective, found: Estimate) -> float:
    """What is made least: seconds, seconds between frames, joules, or seconds of a server."""
    match objective:
        case Objective.LATENCY:
            return found.latency_s
        case Objective.THROUGHPUT:
            return 1 / found.frames_per_s if found.frames_per_s > 0 else math.inf
        case Objective.DEVICE_ENERGY:
            return found.device_energy_j
        case Objective.SERVER_COST:
            return found.server_s


class Rank(NamedTuple):
    """What designs are compared by, the lower the better: what is broken, then what it costs, then accuracy and bytes.

    Attributes:
        fixed, others: how far constraints are broken, those of memory and accuracy and those of the moment.
        cost: by the objective.
        less_accurate: less is more accurate.
    """

    fixed: float
    others: float
    cost: float
    less_accurate: float
    link_bytes: float


def rank(objective: Objective, constraints: Constraints, found: Estimate, link_bytes: float) -> Rank:
    """Of a design."""
    return Rank(*constraints.excess(found), cost(objective, found), -found.accuracy, link_bytes)


def first(ranks: Sequence[Rank]) -> int:
    """The number of the best.

    Designs that keep all constraints come first, by their cost; where none does, that which breaks them least, memory
    and accuracy before what depends on the moment. Of those that cost about the same the one of fewest bytes: of all
    that is measured the link is known least, and few bytes pass also where it is thinner than it seems. An accuracy
    that is enough is enough; of as many bytes the more accurate.
    """
    least = min(ranks)
    alike = [
        number for number, each in enumerate(ranks)
        if each[:2] == least[:2] and each.cost <= least.cost * (1 + ABOUT_THE_SAME)
    ]  # fmt: skip
    return min(alike, key=lambda number: (ranks[number].link_bytes, ranks[number].less_accurate, ranks[number].cost))


def _above(value: float, limit: float | None) -> float:
    return 0.0 if limit is None else max(0.0, (value - limit) / max(limit, _LEAST))


def _below(value: float, limit: float | None) -> float:
    return 0.0 if limit is None else max(0.0, (limit - value) / max(limit, _LEAST))
