"""Every contender on every trace, run by run; each play is stored once it is over, so a run can be taken up again."""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.split.design_tables import DEVICE_ONLY, OURS, SERVER_ONLY, STATIC
from benchmarks.split.real.contenders import STATICS, names, static_designs
from benchmarks.split.real.layout import DEVICE_ONLY_CUT, JPEG_CUT
from benchmarks.split.real.runs import Cloud, play
from benchmarks.split.real.scores import Result
from benchmarks.split.traces import SplitTrace
from benchmarks.split.verdict import Run, best_static, summary
from narrows.contract.bundle import SplitBundle
from narrows.contract.bundle.split_table import plan_table
from narrows.contract.schedule import Objective

OBJECTIVES = (Objective.THROUGHPUT, Objective.LATENCY)


@dataclass(frozen=True)
class Lot:
    """Contenders that play a trace at the same time."""

    run: int
    objective: Objective
    trace: SplitTrace
    contenders: tuple[str, ...]


class Stored:
    """Plays that are over, a JSON line each."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.plays: list[dict[str, Any]] = []
        if path.is_file():
            self.plays = [json.loads(line) for line in path.read_text().splitlines()]

    def add(self, lot: Lot, contender: str, result: Result) -> None:
        """Store one."""
        where = {"run": lot.run, "objective": lot.objective.value, "trace": lot.trace.name, "contender": contender}
        self.plays.append({**where, **asdict(result)})
        with self._path.open("a") as file:
            file.write(json.dumps(self.plays[-1]) + "\n")

    def has(self, lot: Lot, contender: str) -> bool:
        """Whether it is over."""
        where = (lot.run, lot.objective.value, lot.trace.name, contender)
        return any((each["run"], each["objective"], each["trace"], each["contender"]) == where for each in self.plays)


def contenders_of(bundle: SplitBundle) -> tuple[str, ...]:
    """Device only and server only are static designs of their own names."""
    ends = (JPEG_CUT, DEVICE_ONLY_CUT)
    return names([each.name for each in static_designs(plan_table(bundle.manifest)) if each.cut not in ends])


def lots(
    contenders: Sequence[str], traces: Sequence[SplitTrace], objectives: Sequence[Objective], runs: int, at_once: int
) -> Iterator[Lot]:
    """Interleaved: every run plays all traces before the next, and who plays beside whom changes from run to run."""
    for run in range(runs):
        turned = [*contenders[run % len(contenders) :], *contenders[: run % len(contenders)]]
        for objective in objectives:
            for trace in traces:
                for first in range(0, len(turned), at_once):
                    yield Lot(run, objective, trace, tuple(turned[first : first + at_once]))


def measure(cloud: Cloud, todo: Sequence[Lot], stored: Stored, quota_cores: float, until_s: float) -> None:
    """Play what was not played yet, until a moment of the monotonic clock; say what is left."""
    left = [lot for lot in todo if not all(stored.has(lot, name) for name in lot.contenders)]
    began_s = time.monotonic()
    for done, lot in enumerate(left):
        now_s = time.monotonic()
        if now_s > until_s:
            print(f"time is up: {len(left) - done} of {len(todo)} plays are left", file=sys.stderr, flush=True)
            return
        each_s = (now_s - began_s) / done if done else lot.trace.length_s + 15.0
        print(
            f"run {lot.run + 1}, {lot.objective}, {lot.trace.name}: {', '.join(lot.contenders)}; "
            f"{len(left) - done} of {len(todo)} plays left, {(len(left) - done) * each_s / 60:.0f} min",
            file=sys.stderr, flush=True,
        )  # fmt: skip
        wanted = [name for name in lot.contenders if not stored.has(lot, name)]
        for name, result in play(cloud, lot.trace, wanted, lot.objective, quota_cores).items():
            stored.add(lot, name, result)


def runs_of(
    stored: Stored, contenders: Sequence[str], traces: Sequence[SplitTrace], objectives: Sequence[Objective]
) -> list[Run]:
    """What the verdict is made of: traces that every contender has played."""
    found: list[Run] = []
    for objective in objectives:
        rows = [row for trace in traces if (row := _row(stored, contenders, trace, objective)) is not None]
        if rows:
            found.append({"network": "street", "objective": objective.value, "traces": rows})
    return found


def _row(stored: Stored, contenders: Sequence[str], trace: SplitTrace, objective: Objective) -> dict[str, Any] | None:
    scores: dict[str, list[float]] = {name: [] for name in contenders}
    ours, lost = [], 0
    for each in stored.plays:
        if (each["trace"], each["objective"]) == (trace.name, objective.value) and each["contender"] in scores:
            played = {key: value for key, value in each.items() if key in Result.__dataclass_fields__}
            scores[each["contender"]].append(Result(**played).score(objective))
            lost += each["lost"]
            if each["contender"] == OURS:
                ours.append(each)
    if not all(scores.values()):
        return None
    static = {
        name: found for name, found in scores.items()
        if name in (DEVICE_ONLY, SERVER_ONLY) or name.startswith(STATICS)
    }  # fmt: skip
    best = best_static(static)
    kept = {name: summary(found) for name, found in scores.items() if not name.startswith(STATICS)}
    return {
        "trace": trace.name, "changes": trace.changes,
        "scores": kept | {STATIC: summary(static[best])},
        "best_static_design": best, "switches": statistics.median(each["switches"] for each in ours),
        "our_designs_s": ours[-1]["designs"], "frames_lost": lost,
    }  # fmt: skip
