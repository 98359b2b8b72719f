"""All schedulers on all traces in the simulator, and the best static design among all of a network's."""

from __future__ import annotations

import statistics
import sys
from dataclasses import replace
from typing import Any

from benchmarks.record import read_result
from benchmarks.split.design_tables import MEASURED, OURS, STATIC, DesignTables
from benchmarks.split.rivals.static import Static
from benchmarks.split.simulate import Played, play
from benchmarks.split.simulated_system import SimulatedSystem, SimulationSettings
from benchmarks.split.traces import SplitTrace, traces
from benchmarks.split.verdict import best_static, summary, verdict
from narrows.contract.schedule import Objective

_SEEDS = 5
_SETTINGS = {
    Objective.THROUGHPUT: SimulationSettings(frames_per_s=30.0, in_flight=3),
    Objective.LATENCY: SimulationSettings(frames_per_s=5.0, in_flight=1),
}
Scores = dict[str, list[float]]


def simulated(only: str, quota_cores: float, *, quick: bool) -> dict[str, Any]:
    """What `bench-split` says of the simulator: of networks whose names begin with ``only``."""
    networks = [each for each in read_result(MEASURED)["networks"] if each["name"].startswith(only)]
    runs = [
        _run(DesignTables.of(network), objective, replace(settings, quota=quota_cores), 1 if quick else _SEEDS)
        for network in networks
        for objective, settings in _SETTINGS.items()
    ]
    return {"quota_cores": quota_cores, "seeds": 1 if quick else _SEEDS, **verdict(runs), "runs": runs}


def _run(tables: DesignTables, objective: Objective, settings: SimulationSettings, seeds: int) -> dict[str, Any]:
    """All schedulers on all traces, interleaved: each seed plays all of them before the next one."""
    rows = [_trace(tables, objective, settings, trace, seeds) for trace in traces()]
    designs = len(tables.table.designs)
    print(f"simulated: {tables.name}, {objective}: {designs} designs", file=sys.stderr, flush=True)
    return {"network": tables.name, "objective": objective.value, "designs": designs, "traces": rows}


def _trace(
    tables: DesignTables, objective: Objective, settings: SimulationSettings, trace: SplitTrace, seeds: int
) -> dict[str, Any]:
    scores: Scores = {}
    statics: Scores = {}
    switches, lost = [], 0
    for seed in range(seeds):
        seeded = replace(settings, seed=seed)
        for name, make in tables.schedulers(objective, seeded).items():
            played = play(SimulatedSystem(trace, seeded), make())
            scores.setdefault(name, []).append(_score(objective, played))
            if name == OURS:
                switches.append(played.switches)
                lost += played.lost
        for design in tables.table.designs:
            played = play(SimulatedSystem(trace, seeded), Static(design))
            statics.setdefault(design.name, []).append(_score(objective, played))
    best = best_static(statics)
    scores[STATIC] = statics[best]
    return {
        "trace": trace.name, "changes": trace.changes,
        "scores": {name: summary(found) for name, found in scores.items()},
        "best_static_design": best, "switches": statistics.median(switches), "frames_lost": lost,
    }  # fmt: skip


def _score(objective: Objective, played: Played) -> float:
    """Results a second, or the inverse of the mean latency: more is better."""
    return played.results_per_s if objective is Objective.THROUGHPUT else 1 / played.mean_latency_s
