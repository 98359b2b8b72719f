"""Our planner in the simulator: it knows the table of the machine that was profiled, and nothing of the device."""

from __future__ import annotations

from benchmarks.split.scheduler import Seen
from narrows.contract.schedule import Conditions, Constraints, Design, Objective, Planner, PlanTable
from narrows.contract.schedule.conditions import goodput_while_waiting


class Ours:
    """The planner of a camera."""

    begins_anew = True

    def __init__(self, table: PlanTable, objective: Objective, constraints: Constraints, on_their_way: int) -> None:
        self._most_on_their_way = on_their_way
        self.planner = Planner(table, objective, constraints)

    def choose(self, seen: Seen) -> Design:
        """By the planner."""
        goodput = goodput_while_waiting(seen.goodput_bytes_per_s, seen.waiting_bytes, seen.waiting_s)
        conditions = Conditions(
            goodput, seen.round_trip_s, 0.0, None, seen.cloud_load, seen.cloud_wait_s, self._most_on_their_way
        )
        return self.planner.plan(conditions, seen.now_s).chosen.design

    def head_took(self, design: Design, seconds: float, now_s: float) -> None:
        """Corrects the planner's device."""
        self.planner.took(design.name, seconds, 0.0, now_s)
