"""Who drives the real camera: our planner, and every rival behind the planner's interface.

A rival chooses a design, and the planner is pinned to it, as an operator would pin it. So camera, packets and
explanation are the same whoever chooses.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from benchmarks.split.design_tables import DEVICE_ONLY, LEAST_ACCURACY, OURS, RIVALS, SERVER_ONLY
from benchmarks.split.real.layout import (
    DEVICE_ONLY_CUT,
    JPEG_CUT,
    OUR_LEVELS,
    PACKED_LEVELS,
    RAW_LEVEL,
    SIDE_FILE,
)
from benchmarks.split.rivals.dads import Dads
from benchmarks.split.rivals.dyno import Dyno
from benchmarks.split.rivals.neurosurgeon import Neurosurgeon, Option
from benchmarks.split.rivals.static import Static
from benchmarks.split.scheduler import Scheduler, Seen
from edge_client.planning.stage import MakePlanner
from narrows.contract.bundle.split_table import design_name
from narrows.contract.schedule import Conditions, Constraints, Decision, Design, Objective, Planner, PlanTable

LEAST_AGREEMENT = LEAST_ACCURACY - 0.01
"""Of labels by pixel with the unmodified network, which is stricter than the accuracy that the simulator asks for."""
STATICS = "static: "
_SLOWEST_BYTES_PER_S = 1.0


class OursOnOurLevels(Planner):
    """The product's planner: it does not see what the bundle holds for rivals."""

    def choose_among(self, table: PlanTable) -> None:
        """The levels by our coder."""
        super().choose_among(replace(table, designs=at_levels(table.designs, OUR_LEVELS)))


class DrivenBy(Planner):
    """Holds on to what a scheduler chooses."""

    scheduler: Scheduler

    def plan(self, seen: Conditions, now_s: float) -> Decision:
        """As the scheduler says."""
        self.pin(self.scheduler.choose(_seen(seen, now_s)).name)
        return super().plan(seen, now_s)

    def took(self, name: str, seconds: float, device_load: float, now_s: float) -> None:
        """The scheduler hears it, too."""
        super().took(name, seconds, device_load, now_s)
        design = self.table.named(name)
        if design is not None:
            self.scheduler.head_took(design, seconds, now_s)


@dataclass(frozen=True)
class Known:
    """What rivals know beforehand of the device, beside the bundle's table.

    Attributes:
        quota_cores: of the device.
        predicted_ms: of each cut's head by regressions, and of the whole network.
    """

    quota_cores: float
    frames_per_s: float
    predicted_ms: Sequence[float]
    predicted_whole_ms: float

    @classmethod
    def of(cls, bundle: Path, quota_cores: float, frames_per_s: float) -> Known:
        """From what lies in the bundle's folder."""
        found: dict[str, Any] = json.loads((bundle / SIDE_FILE).read_text())
        return cls(quota_cores, frames_per_s, found["predicted_ms"], found["predicted_whole_ms"])


def names(statics: Sequence[str]) -> tuple[str, ...]:
    """All contenders; ``statics``: designs that one camera keeps from beginning to end, beside the two ends."""
    return (OURS, DEVICE_ONLY, SERVER_ONLY, *RIVALS, *(STATICS + each for each in statics))


def planner_of(name: str, known: Known) -> MakePlanner:
    """The planner of a contender, for a camera."""

    def make(table: PlanTable, objective: Objective, constraints: Constraints) -> Planner:
        if name == OURS:
            return OursOnOurLevels(table, objective, constraints)
        planner = DrivenBy(table, objective, constraints)
        planner.scheduler = _scheduler(name, table, objective, known)
        return planner

    return make


def static_designs(table: PlanTable) -> list[Design]:
    """Of each cut the one of fewest bytes that agrees enough: no other static design of ours is better in anything."""
    accurate = [each for each in at_levels(table.designs, OUR_LEVELS) if each.accuracy >= LEAST_AGREEMENT]
    cuts = sorted({each.cut for each in accurate if each.cut is not None})
    return [min((each for each in accurate if each.cut == cut), key=lambda one: one.link_bytes) for cut in cuts]


def at_levels(designs: Sequence[Design], levels: range) -> tuple[Design, ...]:
    """The designs of a bundle at some of its levels."""
    wanted = {design_name(cut, level) for cut in range(256) for level in levels}
    return tuple(each for each in designs if each.name in wanted)


def _scheduler(name: str, table: PlanTable, objective: Objective, known: Known) -> Scheduler:
    if name.startswith(STATICS):
        return Static(_named(table, name.removeprefix(STATICS)))
    ends = [each for each in static_designs(table) if each.cut in (JPEG_CUT, DEVICE_ONLY_CUT)]
    middle = [each for each in table.designs if each.cut not in (JPEG_CUT, DEVICE_ONLY_CUT)]
    raw = [*ends, *(each for each in at_levels(middle, range(RAW_LEVEL, RAW_LEVEL + 1)))]
    makers: dict[str, Callable[[], Scheduler]] = {
        DEVICE_ONLY: lambda: Static(ends[-1]),
        SERVER_ONLY: lambda: Static(ends[0]),
        "Neurosurgeon": lambda: Neurosurgeon([_option(each, known) for each in raw], known.quota_cores),
        "DADS": lambda: Dads(raw, known.quota_cores, known.frames_per_s),
        "DynO": lambda: Dyno([*ends, *_accurate(middle, PACKED_LEVELS)], objective, known.quota_cores),
        "DynO, our coder": lambda: Dyno([*ends, *_accurate(middle, OUR_LEVELS)], objective, known.quota_cores),
    }
    return makers[name]()


def _accurate(designs: Sequence[Design], levels: range) -> list[Design]:
    return [each for each in at_levels(designs, levels) if each.accuracy >= LEAST_AGREEMENT]


def _option(design: Design, known: Known) -> Option:
    head_ms = known.predicted_ms[design.cut or 0] if design.cut else 1e3 * (design.device_s or 0.0)
    tail_ms = known.predicted_whole_ms - known.predicted_ms[design.cut or 0]
    return Option(design, head_ms / 1e3, tail_ms / 1e3)


def _named(table: PlanTable, name: str) -> Design:
    found = table.named(name)
    assert found is not None, name
    return found


def _seen(seen: Conditions, now_s: float) -> Seen:
    """A rival sees what our planner sees, a link that is away included."""
    known = seen.goodput_bytes_per_s < math.inf
    goodput = max(seen.goodput_bytes_per_s, _SLOWEST_BYTES_PER_S) if known else math.inf
    return Seen(now_s, goodput, goodput, seen.round_trip_s, seen.cloud_load, seen.cloud_wait_s, 0.0, 0.0)
