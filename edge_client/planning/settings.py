"""What a camera that plans strives for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields

from narrows.contract.bundle.split_table import KEPT
from narrows.contract.errors import ConfigError
from narrows.contract.schedule import Constraints, Objective, PlanTable

_MOST = 1e15


@dataclass(frozen=True, slots=True)
class PlanSettings:
    """What is made best, and what must be kept; without a least accuracy, :func:`least_accuracy`."""

    objective: Objective = Objective.LATENCY
    constraints: Constraints = field(default_factory=Constraints)


def constraints_of(texts: Iterable[str]) -> Constraints:
    """From ``NAME=VALUE`` each, as the command line has them.

    Raises:
        ConfigError: there is no such constraint, or the value is no number above 0.
    """
    known = [each.name for each in fields(Constraints)]
    given: dict[str, float] = {}
    for text in texts:
        name, _, value = (part.strip() for part in text.partition("="))
        if name not in known:
            raise ConfigError(f"--constraint {text!r}: write NAME=VALUE; constraints are {', '.join(known)}")
        try:
            given[name] = float(value)
        except ValueError:
            given[name] = 0.0
        if not 0 < given[name] < _MOST:
            raise ConfigError(f"--constraint {text!r}: {value!r} is no number above 0")
    memory = given.pop("most_memory_bytes", None)
    return Constraints(**given, most_memory_bytes=None if memory is None else int(memory))


def least_accuracy(table: PlanTable) -> float:
    """What a design keeps where nothing is said: what the default level keeps, or near the best where none does."""
    best = max(design.accuracy for design in table.designs)
    return KEPT if best >= KEPT else best - (1 - KEPT)
