"""Our planner in the simulator: it knows the table of the machine that was profiled, and nothing of the device."""

from __future__ import annotations

from benchmarks.split.scheduler import Seen
from narrows.contract.schedule import Conditions, Constraints, Design, Objective, Planner, PlanTable


class Ours:
    """The planner of a camera."""

    begins_anew = True

    def __init__(self, table: PlanTable, objective: Objective, constraints: Constraints, on_their_way: int) -> None:
        self._most_on_their_way = on_their_way
        self.planner = Planner(table, objective, constraints)

    def choose(self, seen: Seen) -> Design:
        """By the planner."""
        speed = seen.speed.while_waiting(seen.waiting_bytes, seen.waiting_s)
        conditions = Conditions(
            speed.bytes_per_s,
            seen.round_trip_s,
            cloud_load=seen.cloud_load,
            cloud_wait_s=seen.cloud_wait_s,
            most_on_their_way=self._most_on_their_way,
            shape=speed.shape,
            tried_bytes=speed.tried_bytes,
        )
        return self.planner.plan(conditions, seen.now_s).chosen.design

    def head_took(self, design: Design, seconds: float, now_s: float) -> None:
        """Corrects the planner's device."""
        self.planner.took(design.name, seconds, 0.0, now_s)
