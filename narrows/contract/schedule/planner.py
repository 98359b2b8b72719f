"""Which design a camera uses now: from a table of designs and what is measured. Pure; the caller has the clock.

::

    head times ──► device speed ─┐
    plan table ──────────────────┼─► estimate ─► rank ─► hysteresis ─► decision, explained
    goodput, round trip, load, ──┘
    temperature, cloud's load

A new device or network has a plan at the first call. As long as none of its heads was run, its speed is a prior, and
the device is taken to be slower than that: eight times at first, half as much every half second. So what is tried first
asks little of it, and its measured time then tells for all the others.

A design whose packets are larger than those that the link took of late is tried with one frame. The one before goes on
until that frame has crossed; then the better of the two stays. So a link that is not what it seems costs one late
frame.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from narrows.contract.errors import DesignUnknown
from narrows.contract.schedule.conditions import Conditions, Estimate, estimate
from narrows.contract.schedule.device_speed import DeviceSpeed
from narrows.contract.schedule.hysteresis import Candidate, Hysteresis, advantage
from narrows.contract.schedule.objective import Constraints, Objective, Rank, first, rank
from narrows.contract.schedule.table import Design, PlanTable

_CAUTION, _CAUTION_HALVES_S = 8.0, 0.5
_WORKED_OFF_S = 30.0
"""A stream of a few frames a second has some hundred of them waiting then, which Redis keeps."""
_LONGEST_TRIAL_S = 10.0
"""Then its packet was given up."""


class Reason(StrEnum):
    """Why a design is in use."""

    FIRST = "first plan"
    BETTER = "better by the objective"
    TRIED = "one frame, to see how long its larger packet takes"
    NOT_YET = "the larger packet that was tried is on its way, or took too long"
    CONSTRAINT = "the one before broke a constraint"
    PINNED = "pinned by the operator"
    UNPINNED = "no longer pinned"
    BACK = "the link is back, and it was in use before"
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
        best: the first at this moment, which hysteresis may not have taken yet.
        next_best: the first by rank but for ``chosen``; ``None`` where there is no other.
        broken: constraints that ``chosen`` breaks now.
        seen: what was measured, the cloud's load as it counts.
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
class _Trial:
    """One frame of a design while another is held on to; ``coded_s``: when that frame was, ``None`` if not yet."""

    design: int
    held: int
    coded_s: float | None = None


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
    _trial: _Trial | None = None
    _before_outage: int | None = None
    _load: tuple[float, float] | None = None

    def choose_among(self, table: PlanTable) -> None:
        """From the next plan on, other designs of the same network.

        The one in use stays if it is among them; what was learned of the device stays; a pin is let go.
        """
        current = None if self._current is None else self.table.designs[self._current]
        self.table, self.hysteresis, self._pinned = table, Hysteresis(self.hysteresis.settings), None
        self._trial = self._before_outage = None
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
        if self._trial is not None and design == self.table.designs[self._trial.design]:
            self._trial.coded_s = now_s

    def plan(self, seen: Conditions, now_s: float) -> Decision:
        """What to use for the next frame."""
        if self._begun_s is None:
            self._begun_s = now_s
        seen = replace(seen, cloud_load=self._lasting_load(seen, now_s))
        considered = self.consider(seen, self._caution(now_s))
        before = self._current
        self._current = self._choose(considered, seen, now_s)
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
            best=considered[first([each.rank for each in considered])],
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

    def _choose(self, considered: Sequence[Considered], seen: Conditions, now_s: float) -> int:
        best = first([each.rank for each in considered])
        if self._pinned is not None:
            self._reason, self._trial, self._before_outage = Reason.PINNED, None, None
            return self._pinned
        if self._current is None:
            self._reason = self._reason_anew
            return best
        if self._reason is Reason.PINNED:
            self._reason = Reason.UNPINNED
            self.hysteresis.leave(self._current, best, now_s)
            return best
        if self._trial is not None:
            return self._try(self._trial, considered, seen, now_s)
        before_outage = self._after_outage(self._current, considered, seen, now_s)
        if before_outage is not None:
            self._reason = Reason.BACK
            self.hysteresis.begin_anew(now_s)
            return before_outage
        candidates = [Candidate(each.rank, self.speed.seconds(each.design)) for each in considered]
        chosen = self.hysteresis.step(self._current, candidates, now_s)
        if chosen != self._current:
            broke = considered[self._current].rank[:2] > considered[chosen].rank[:2]
            self._reason = Reason.CONSTRAINT if broke else Reason.BETTER
            if not broke and _is_untried(considered[chosen].design, seen):
                self._trial, self._reason = _Trial(chosen, self._current), Reason.TRIED
        return chosen

    def _try(self, trial: _Trial, considered: Sequence[Considered], seen: Conditions, now_s: float) -> int:
        """The design that is tried until it has coded a frame, then the one before until that frame has crossed."""
        gained = advantage(considered[trial.held].rank, considered[trial.design].rank)
        crossed = not _is_untried(considered[trial.design].design, seen)
        if trial.coded_s is None and gained > 0 and not crossed:
            return trial.design
        if gained > 0 and crossed:
            self._trial, self._reason = None, Reason.BETTER
            return trial.design
        self._reason = Reason.NOT_YET
        breaks = any(considered[trial.held].rank[:2])
        if gained <= 0 or breaks or now_s - (trial.coded_s or now_s) > _LONGEST_TRIAL_S:
            self._trial = None
        return trial.held

    def _after_outage(
        self, current: int, considered: Sequence[Considered], seen: Conditions, now_s: float
    ) -> int | None:
        """The design that was in use when the link went away, once it is back and that one is the better.

        A link that is away makes the design of fewest bytes the best, and says nothing of the link behind the outage.
        Two switches are as far apart as ever: behind a very short outage the return waits for that.
        """
        if seen.goodput_bytes_per_s == 0:
            self._before_outage = current if self._before_outage is None else self._before_outage
            return None
        if now_s - self._since_s < self.hysteresis.settings.least_dwell_s:
            return None
        before, self._before_outage = self._before_outage, None
        if before is None or advantage(considered[current].rank, considered[before].rank) <= 0:
            return None
        return before

    def _lasting_load(self, seen: Conditions, now_s: float) -> float:
        """The cloud's load as it counts: over time where frames may pile up, and a rate alone is asked for."""
        piles_up = self.objective is Objective.THROUGHPUT and seen.most_on_their_way is None
        load = min(seen.cloud_load, 1.0)  # no share is larger, and none is forgotten later than a whole one
        if piles_up and self.constraints.most_latency_s is None and self._load is not None:
            before, at_s = self._load
            keep = math.exp2(-max(0.0, now_s - at_s) / _WORKED_OFF_S)
            load = keep * before + (1 - keep) * load
        self._load = load, now_s
        return self._load[0]

    def _caution(self, now_s: float) -> float:
        if self.speed.measured or self._begun_s is None:
            return 1.0
        return max(1.0, _CAUTION * math.exp2(-(now_s - self._begun_s) / _CAUTION_HALVES_S))


def _is_untried(design: Design, seen: Conditions) -> bool:
    return design.link_bytes * seen.size_ratio > seen.tried_bytes
