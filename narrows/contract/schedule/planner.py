"""Which design a camera uses now: from a table of designs and what is measured. Pure; the caller has the clock.

::

    head times ──► device speed ─┐
    plan table ──────────────────┼─► estimate ─► rank ─► hysteresis ─► decision, explained
    goodput, round trip, load, ──┘
    temperature, cloud's load

A new device or network has a plan at the first call. As long as none of its heads was run, its speed is a prior, and
the device is taken to be slower than that: eight times at first, half as much every half second. So what is tried first
asks little of it, and its measured time then tells for all the others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from narrows.contract.errors import DesignUnknown
from narrows.contract.schedule.conditions import Conditions, Estimate, estimate
from narrows.contract.schedule.device_speed import DeviceSpeed
from narrows.contract.schedule.hysteresis import Candidate, Hysteresis
from narrows.contract.schedule.objective import Constraints, Objective, Rank, rank
from narrows.contract.schedule.table import Design, PlanTable

_CAUTION, _CAUTION_HALVES_S = 8.0, 0.5


class Reason(StrEnum):
    """Why a design is in use."""

    FIRST = "first plan"
    BETTER = "better by the objective"
    CONSTRAINT = "the one before broke a constraint"
    PINNED = "pinned by the operator"
    UNPINNED = "no longer pinned"
    WITHDRAWN = "the one before cannot be used any more"


@dataclass(frozen=True, slots=True)
class Considered:
    """A design and what it would do now."""

    design: Design
    estimate: Estimate
    rank: Rank


@dataclass(frozen=True, slots=True)
class Decision:
    """What to use, and why.

    Attributes:
        chosen: in use from now on.
        reason: why it was taken when it was.
        since_s: when that was.
        switched: whether that was now: the next packet is a key packet.
        best: the first by rank at this moment, which hysteresis may not have taken yet.
        next_best: the first by rank but for ``chosen``; ``None`` where there is no other.
        broken: constraints that ``chosen`` breaks now.
        seen: what was measured.
    """

    chosen: Considered
    reason: Reason
    since_s: float
    switched: bool
    best: Considered
    next_best: Considered | None
    broken: tuple[str, ...]
    seen: Conditions
    device_factor: float
    device_measured: bool


@dataclass
class Planner:
    """One camera's planner for one network."""

    table: PlanTable
    objective: Objective
    constraints: Constraints = field(default_factory=Constraints)
    speed: DeviceSpeed = field(default_factory=DeviceSpeed)
    hysteresis: Hysteresis = field(default_factory=Hysteresis)
    _current: int | None = None
    _reason: Reason = Reason.FIRST
    _since_s: float = 0.0
    _begun_s: float | None = None
    _pinned: int | None = None
    _reason_anew: Reason = Reason.FIRST

    def choose_among(self, table: PlanTable) -> None:
        """From the next plan on, other designs of the same network.

        The one in use stays if it is among them; what was learned of the device stays; a pin is let go.
        """
        current = None if self._current is None else self.table.designs[self._current]
        self.table, self.hysteresis, self._pinned = table, Hysteresis(self.hysteresis.settings), None
        self._current = next((number for number, each in enumerate(table.designs) if each == current), None)
        if current is not None and self._current is None:
            self._reason_anew = Reason.WITHDRAWN

    def pin(self, name: str | None) -> None:
        """Hold on to a design, whatever is measured, from the next plan on; ``None`` lets go.

        Raises:
            DesignUnknown: the table has none of this name.
        """
        if name is None:
            self._pinned = None
            return
        number = next((n for n, design in enumerate(self.table.designs) if design.name == name), None)
        if number is None:
            there = ", ".join(design.name for design in self.table.designs)
            raise DesignUnknown(f"no design is called {name!r}; there are: {there}")
        self._pinned = number

    def took(self, name: str, seconds: float, device_load: float, now_s: float) -> None:
        """The head of a design was run, and what crosses was coded, in so long."""
        design = self.table.named(name)
        if design is not None:
            self.speed.took(design, seconds, device_load, now_s)

    def plan(self, seen: Conditions, now_s: float) -> Decision:
        """What to use for the next frame."""
        if self._begun_s is None:
            self._begun_s = now_s
        considered = self.consider(seen, self._caution(now_s))
        before = self._current
        self._current = self._choose(considered, now_s)
        if self._current != before:
            self._since_s = now_s
        chosen = considered[self._current]
        by_rank = sorted(considered, key=lambda each: each.rank)
        others = (each for each in by_rank if each is not chosen)
        return Decision(
            chosen=chosen,
            reason=self._reason,
            since_s=self._since_s,
            switched=self._current != before,
            best=by_rank[0],
            next_best=next(others, None),
            broken=self.constraints.broken(chosen.estimate),
            seen=seen,
            device_factor=self.speed.factor,
            device_measured=self.speed.measured,
        )

    def consider(
        self, seen: Conditions, caution: float = 1.0, among: Sequence[Design] | None = None
    ) -> list[Considered]:
        """Designs under given conditions, in their order: all of the table, or those of ``among``.

        ``caution``: so much slower a device.
        """
        return [self._consider(design, seen, caution) for design in (self.table.designs if among is None else among)]

    def _consider(self, design: Design, seen: Conditions, caution: float) -> Considered:
        device_s = self.speed.seconds(design) * caution
        found = estimate(design, device_s, self.speed.energy_j(design), seen)
        return Considered(design, found, rank(self.objective, self.constraints, found, design.link_bytes))

    def _choose(self, considered: Sequence[Considered], now_s: float) -> int:
        best = min(range(len(considered)), key=lambda number: considered[number].rank)
        if self._pinned is not None:
            self._reason = Reason.PINNED
            return self._pinned
        if self._current is None:
            self._reason = self._reason_anew
            return best
        if self._reason is Reason.PINNED:
            self._reason = Reason.UNPINNED
            self.hysteresis.leave(self._current, best, now_s)
            return best
        candidates = [Candidate(each.rank, self.speed.seconds(each.design)) for each in considered]
        chosen = self.hysteresis.step(self._current, candidates, now_s)
        if chosen != self._current:
            broke = considered[self._current].rank[:2] > considered[chosen].rank[:2]
            self._reason = Reason.CONSTRAINT if broke else Reason.BETTER
        return chosen

    def _caution(self, now_s: float) -> float:
        if self.speed.measured or self._begun_s is None:
            return 1.0
        return max(1.0, _CAUTION * math.exp2(-(now_s - self._begun_s) / _CAUTION_HALVES_S))
