"""What is made of all runs: six numbers, and those of each network and objective. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.split.field import DEVICE_ONLY, OURS, RIVALS, SERVER_ONLY, STATIC

NUMBERS = (
    "worst_against_best_static", "mean_gain_on_changing_traces", "throughput_over_device_only",
    "throughput_over_server_only", "mean_gain_over_best_rival", "worst_against_best_rival", "frames_lost",
)  # fmt: skip
Run = Mapping[str, Any]


def verdict(runs: Sequence[Run]) -> dict[str, Any]:
    """The worst and the mean over all networks, objectives and traces, by the medians of their runs.

    The best rival of a network and objective is the one whose scores, each over ours, have the highest mean of all
    traces: one scheduler, not another one for each trace.
    """
    throughput = [run for run in runs if run["objective"] == "throughput"]
    return {
        "worst_against_best_static": min(_ratios(runs, STATIC)),
        "mean_gain_on_changing_traces": statistics.fmean(_ratios(runs, STATIC, changing=True)),
        "throughput_over_device_only": min(statistics.fmean(_ratios([run], DEVICE_ONLY)) for run in throughput),
        "throughput_over_server_only": min(statistics.fmean(_ratios([run], SERVER_ONLY)) for run in throughput),
        "mean_gain_over_best_rival": statistics.fmean(_mean(run, OURS) / _mean(run, best_rival(run)) for run in runs),
        "worst_against_best_rival": min(min(_ratios([run], best_rival(run))) for run in runs),
        "frames_lost": sum(row["frames_lost"] for run in runs for row in run["traces"]),
        "by_run": [_of(run) for run in runs],
    }


def best_rival(run: Run) -> str:
    """The rival scheduler of the highest mean over the traces."""
    return max(RIVALS, key=lambda name: _mean(run, name))


def _of(run: Run) -> dict[str, Any]:
    rival = best_rival(run)
    return {
        "network": run["network"],
        "objective": run["objective"],
        "best_rival": rival,
        "gain_over_best_rival": _mean(run, OURS) / _mean(run, rival),
        "worst_against_best_rival": min(_ratios([run], rival)),
        "worst_against_best_static": min(_ratios([run], STATIC)),
        "gain_on_changing_traces": statistics.fmean(_ratios([run], STATIC, changing=True)),
        "over_device_only": statistics.fmean(_ratios([run], DEVICE_ONLY)),
        "over_server_only": statistics.fmean(_ratios([run], SERVER_ONLY)),
    }


def _mean(run: Run, name: str) -> float:
    return statistics.fmean(row["scores"][name]["median"] for row in run["traces"])


def _ratios(runs: Sequence[Run], name: str, *, changing: bool = False) -> list[float]:
    rows = [row for run in runs for row in run["traces"] if row["changes"] or not changing]
    return [row["scores"][OURS]["median"] / row["scores"][name]["median"] for row in rows]
