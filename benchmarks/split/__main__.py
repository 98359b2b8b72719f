"""Where a network is split while link and cloud change: our planner beside device only, server only and its rivals.

Example: python -m benchmarks.split --simulate --quick
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.record import read_result, write_result
from benchmarks.split.field import DEVICE_ONLY, MEASURED, OURS, RIVALS, SERVER_ONLY, STATIC, Field
from benchmarks.split.rivals.static import Static
from benchmarks.split.simulate import Played, play
from benchmarks.split.traces import SplitTrace, traces
from benchmarks.split.verdict import NUMBERS, verdict
from benchmarks.split.world import Setting, World
from narrows.contract.schedule import Objective

_SEEDS = 5
_SETTINGS = {
    Objective.THROUGHPUT: Setting(frames_per_s=30.0, in_flight=3),
    Objective.LATENCY: Setting(frames_per_s=5.0, in_flight=1),
}
Scores = dict[str, list[float]]


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench-split", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--simulate", action="store_true", help="the simulator; the real stack is not built yet")
    parser.add_argument("--quota", type=float, default=0.1, help="cores that the device has")
    parser.add_argument("--only", default="", help="networks whose names begin so")
    parser.add_argument("--quick", action="store_true", help="one run of each instead of five; writes nothing")
    options = parser.parse_args()
    if not options.simulate:
        print("bench-split: only --simulate is there so far", file=sys.stderr)
        return 2
    networks = [each for each in read_result(MEASURED)["networks"] if each["name"].startswith(options.only)]
    runs = [
        _run(Field.of(network), objective, replace(setting, quota=options.quota), 1 if options.quick else _SEEDS)
        for network in networks
        for objective, setting in _SETTINGS.items()
    ]
    figures = {"quota_cores": options.quota, "simulated": True, **verdict(runs), "runs": runs}
    show(figures)
    if not options.quick and not options.only:
        print(write_result("split", 'make bench-split ARGS="--simulate"', figures))
    return 0


def _run(field: Field, objective: Objective, setting: Setting, seeds: int) -> dict[str, Any]:
    """All schedulers on all traces, interleaved: each seed plays all of them before the next one."""
    rows = [_trace(field, objective, setting, trace, seeds) for trace in traces()]
    print(f"{field.name}, {objective}: {len(field.table.designs)} designs", file=sys.stderr, flush=True)
    return {"network": field.name, "objective": objective.value, "designs": len(field.table.designs), "traces": rows}


def _trace(field: Field, objective: Objective, setting: Setting, trace: SplitTrace, seeds: int) -> dict[str, Any]:
    scores: Scores = {}
    statics: Scores = {}
    switches, lost = [], 0
    for seed in range(seeds):
        world = replace(setting, seed=seed)
        for name, make in field.schedulers(objective, world).items():
            played = play(World(trace, world), make())
            scores.setdefault(name, []).append(_score(objective, played))
            if name == OURS:
                switches.append(played.switches)
                lost += played.lost
        for design in field.table.designs:
            statics.setdefault(design.name, []).append(_score(objective, play(World(trace, world), Static(design))))
    best = max(statics, key=lambda name: statistics.median(statics[name]))
    scores[STATIC] = statics[best]
    return {
        "trace": trace.name, "changes": trace.changes,
        "scores": {name: _summary(found) for name, found in scores.items()},
        "best_static_design": best, "switches": statistics.median(switches), "frames_lost": lost,
    }  # fmt: skip


def _score(objective: Objective, played: Played) -> float:
    """Results a second, or the inverse of the mean latency: more is better."""
    return played.results_per_s if objective is Objective.THROUGHPUT else 1 / played.mean_latency_s


def _summary(found: Sequence[float]) -> Mapping[str, float]:
    return {"median": statistics.median(found), "least": min(found), "most": max(found)}


def show(figures: Mapping[str, Any]) -> None:
    """Print what was measured."""
    names = [OURS, STATIC, DEVICE_ONLY, SERVER_ONLY, *RIVALS]
    for run in figures["runs"]:
        unit = "results/s" if run["objective"] == Objective.THROUGHPUT else "1 / mean latency, 1/s"
        table = Table("trace", *names, "switches", title=f"{run['network']}: {unit}")
        for row in run["traces"]:
            cells = [f"{row['scores'][name]['median']:.2f}" for name in names]
            table.add_row(row["trace"], *cells, f"{row['switches']:g}")
        Console(width=160).print(table)
    for name in NUMBERS:
        print(f"{name}: {figures[name]:.3g}")


if __name__ == "__main__":
    raise SystemExit(main())
