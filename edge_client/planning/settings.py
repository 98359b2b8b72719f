"""What a camera that plans strives for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields

from narrows.contract.errors import ConfigError
from narrows.contract.schedule import Constraints, Objective, PlanTable

AGREEMENT_LOSS = 0.01
"""Of the best design's agreement: what a design may lose where nothing is said."""
_MOST = 1e15


@dataclass(frozen=True, slots=True)
class PlanSettings:
    """What is made best, and what must be kept; without a least accuracy, the best design's less a hundredth."""

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
    """What a design keeps where nothing is said."""
    return max(design.accuracy for design in table.designs) - AGREEMENT_LOSS
