"""One policy with one set of parameters on one trace, in a process of its own."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from multiprocessing import get_context

from benchmarks.autoscale.curves import Point
from benchmarks.autoscale.grids import RIVALS, Parameters, settings_of
from benchmarks.autoscale.traces import MAKERS
from orchestrator.scaling.simulate.policy_name import PolicyName
from orchestrator.scaling.simulate.run import simulate
from orchestrator.scaling.simulate.scalers import make_scaler
from orchestrator.scaling.simulate.world import World

Trial = tuple[str, PolicyName, Parameters, int]
Points = dict[tuple[str, PolicyName], list[Point]]


def run_trials(world: World, seed: int, every: int | None, processes: int | None) -> Points:
    """Every trace with ours and with each rival's default and grid; ``every`` takes only each so-manieth of a grid."""
    trials: list[Trial] = []
    for name in MAKERS:
        trials.append((name, PolicyName.NARROWS, {}, seed))
        for rival in RIVALS:
            trials += [(name, rival, each, seed) for each in islice(settings_of(rival, world), 0, None, every)]
    points: Points = {}
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        for (name, policy, _, _), point in zip(trials, pool.map(_run, trials, chunksize=8), strict=True):
            points.setdefault((name, policy), []).append(point)
    return points


def _run(trial: Trial) -> Point:
    name, policy, parameters, seed = trial
    world = World(seed=seed)
    done = simulate(MAKERS[name](seed), world, make_scaler(policy, world, parameters))
    return Point(
        round(done.violating_stream_seconds, 1),
        round(done.replica_hours, 3),
        done.decisions,
        round(done.worst_backlog_age_s, 1),
        parameters,
    )
