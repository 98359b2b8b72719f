"""The fit of processor time, and what it says of fleets that nobody measured."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import asdict, replace
from itertools import product

import numpy as np
import pytest

from benchmarks.pipeline.processor_time import tree_seconds
from benchmarks.scale_out.figures import render
from benchmarks.scale_out.fit import TERMS, Fit, Floats, Point, as_json, fit
from benchmarks.scale_out.fleets import LOAD, needs

COSTS = np.array([0.02, 0.001, 0.00005, 0.0008])


def points(costs: Floats = COSTS, noise: float = 0.0) -> list[Point]:
    random = np.random.default_rng(1)
    grid = [
        Point(processes, shards, streams, frames, 5.0, 0.0)
        for processes, shards, streams, frames in product((1, 4), (4, 32), (20, 1000), (0, 1500))
    ]
    return [
        replace(each, cpu_s=float(each.amounts() @ costs) * (1 + noise * random.standard_normal())) for each in grid
    ]


def exact(costs: Floats) -> Fit:
    return Fit(costs, np.zeros((4, 4)), np.zeros(1), np.zeros(1))


def test_costs_that_made_the_measurements_are_found_without_an_error() -> None:
    found = fit(points())
    np.testing.assert_allclose(found.costs, COSTS, rtol=1e-9)
    assert np.abs([*found.residuals, *found.left_out]).max() < 1e-9
    assert found.cores(2, 16, 500, 1000) == pytest.approx((0.04 + 0.016 + 0.025 + 0.8, 0.0), abs=1e-9)


def test_measurements_that_scatter_are_met_within_the_error_that_is_said() -> None:
    found = fit(points(noise=0.1))
    errors = 3 * np.sqrt(np.diag(found.covariance))
    assert (np.abs(found.costs - COSTS) < errors).all()
    assert (errors > 0).all()
    cores, error = found.cores(600, 1000, 100_000, 500_000)
    assert abs(cores - (600 * 0.02 + 1.0 + 5.0 + 400.0)) < 1.5 * error
    assert error > 2 * np.sqrt(np.mean(found.left_out**2)) * cores  # a measurement's scatter, and that of the costs


def test_an_idle_point_counts_as_much_as_a_busy_one() -> None:
    """Absolute errors would let the busiest alone say what a frame costs, and nothing say what a process does."""
    measured = points()
    busiest = max(range(len(measured)), key=lambda i: measured[i].cpu_s)
    measured[busiest] = replace(measured[busiest], cpu_s=1.2 * measured[busiest].cpu_s)
    assert fit(measured).costs[0] == pytest.approx(COSTS[0], rel=0.1)


def test_no_cost_is_below_zero() -> None:
    found = fit(points(np.array([0.02, -0.0001, 0.00005, 0.0008])))
    assert found.costs[1] == 0
    assert (found.costs[[0, 2, 3]] > 0).all()
    assert found.covariance[1].tolist() == [0, 0, 0, 0]


def test_a_point_that_is_off_is_seen_by_the_fit_that_leaves_it_out() -> None:
    measured = points()
    measured[3] = replace(measured[3], cpu_s=2 * measured[3].cpu_s)
    found = fit(measured)
    assert np.abs(found.left_out).argmax() == 3
    assert found.left_out[3] == pytest.approx(-0.5, abs=1e-6)


def test_too_few_points_are_refused() -> None:
    with pytest.raises(ValueError, match="4 points"):
        fit(points()[:4])


def test_a_fleet_has_processes_below_their_load_and_a_shard_for_each() -> None:
    dispatchers, redis = exact(COSTS), exact(np.array([0.0, 0.0, 0.0, 0.0002]))
    found = needs(10_000, 5, dispatchers, redis)
    assert found.dispatcher_cores == pytest.approx(found.processes * 0.02 + found.shards * 0.001 + 0.5 + 40)
    assert found.dispatcher_cores <= LOAD * found.processes
    assert found.shards == found.processes  # more than one for each 300 cameras
    fewer = found.processes - 1
    assert dispatchers.cores(fewer, fewer, 10_000, 50_000)[0] > LOAD * fewer  # as few as will do
    assert found.redis_cores == pytest.approx(10.0)
    assert (found.redis_nodes, found.installs) == (13, 1)
    assert needs(100_000, 5, dispatchers, redis).installs == 1
    assert needs(200_000, 10, dispatchers, redis).installs == 3
    assert needs(1_000, 0, dispatchers, redis).shards == 16


def test_a_process_that_cannot_carry_itself_is_refused() -> None:
    with pytest.raises(ValueError, match="by itself"):
        needs(1_000, 1, exact(np.array([0.9, 0, 0, 0])), exact(np.zeros(4)))


def test_the_tables_say_what_was_fitted_how_far_and_how_sure() -> None:
    found = fit(points(noise=0.1))
    side = {"frames_per_s": 1234.0, "dispatchers_ms": 0.8, "redis_ms": 0.2, "shards": 16, "load_average": 1.0}
    text = render(
        {
            "load_average_before": 1.0,
            "load_average_after": 2.0,
            "processes": [side | {"processes": 2, "most_shards": 8}],
            "points": [asdict(each) for each in points()],
            "fit": {"dispatchers": as_json(found), "redis": as_json(found)},
            "fleets": [asdict(needs(100_000, 5, found, found))],
        }
    )
    assert "| 2 | 1,234 | 0.80 | 0.20 | 8 of 16 |" in text
    assert "16 points of up to 4 processes, 32 shards, 1,000 streams and 300 frames/s" in text
    assert "load average 1.0 before, 2.0 after" in text
    assert all(f"{1000 * cost:.3f} ± " in text for cost in found.costs)
    assert "| 100,000 | 5 | " in text
    assert set(as_json(found)["cost_ms"]) == set(TERMS)  # type: ignore[call-overload]


def test_the_time_of_a_program_is_that_of_all_it_started_in_sessions_of_their_own_too() -> None:
    # More than is asked for: /proc counts in ticks, and the last one may not be full.
    work = "import time\nwhile time.process_time() < 0.4: pass\ninput()"
    nested = (
        "import subprocess, sys\n"
        f"child = subprocess.Popen([sys.executable, '-c', {work!r}], stdin=subprocess.PIPE, start_new_session=True)\n"
        "input()\nchild.communicate(b'\\n')"
    )
    with subprocess.Popen([sys.executable, "-c", nested], stdin=subprocess.PIPE) as program:
        give_up_s = time.monotonic() + 60
        while tree_seconds(program.pid) < 0.3 and time.monotonic() < give_up_s:
            time.sleep(0.02)
        used_s = tree_seconds(program.pid)
        program.communicate(b"\n")
    assert used_s >= 0.3
    assert tree_seconds(os.getpid()) > 0
