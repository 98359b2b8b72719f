"""What a planner strives for, and what it must keep. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from narrows.contract.schedule.conditions import Estimate

_LEAST = 1e-12


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


Rank = tuple[float, float, float, float, float]


def rank(objective: Objective, constraints: Constraints, found: Estimate, link_bytes: float) -> Rank:
    """What designs are ordered by, the best first.

    Those that keep all constraints come first, by their cost; where none does, that which breaks them least, memory and
    accuracy before what depends on the moment. Of equal ones the more accurate, then that of fewer bytes.
    """
    fixed, others = constraints.excess(found)
    return (fixed, others, cost(objective, found), -found.accuracy, link_bytes)


def _above(value: float, limit: float | None) -> float:
    return 0.0 if limit is None else max(0.0, (value - limit) / max(limit, _LEAST))


def _below(value: float, limit: float | None) -> float:
    return 0.0 if limit is None else max(0.0, (limit - value) / max(limit, _LEAST))
