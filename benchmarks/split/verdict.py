"""What is made of all runs: seven numbers, their intervals, and those of each network and objective. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.split.design_tables import DEVICE_ONLY, OURS, RIVALS, SERVER_ONLY, STATIC

NUMBERS = (
    "worst_against_best_static", "mean_gain_on_changing_traces", "throughput_over_device_only",
    "throughput_over_server_only", "mean_gain_over_best_rival", "worst_against_best_rival", "frames_lost",
)  # fmt: skip
_LEAST_SCORE = 0.01
"""A scheduler without any result on a trace: a hundredth of a result a second."""
Run = Mapping[str, Any]
"""All schedulers on all traces, for one network and objective; the scores of a row are those of :func:`summary`."""


def summary(found: Sequence[float]) -> dict[str, Any]:
    """One scheduler's scores on one trace, run by run."""
    return {"median": statistics.median(found), "least": min(found), "most": max(found), "runs": list(found)}


def best_static(scores: Mapping[str, Sequence[float]]) -> str:
    """The design of the best median: which it is, is only known afterwards."""
    return max(scores, key=lambda name: statistics.median(scores[name]))


def intervals(runs: Sequence[Run]) -> dict[str, tuple[float, float]]:
    """The least and the most of each number, were it made of one run of each scheduler alone."""
    alone = [verdict(each) for each in _one_by_one(runs)]
    return {name: (min(each[name] for each in alone), max(each[name] for each in alone)) for name in NUMBERS}


def _one_by_one(runs: Sequence[Run]) -> Iterator[list[Run]]:
    rows = [row for run in runs for row in run["traces"]]
    count = min(len(score["runs"]) for row in rows for score in row["scores"].values())
    for number in range(count):
        yield [{**run, "traces": [_of_run(row, number) for row in run["traces"]]} for run in runs]


def _of_run(row: Run, number: int) -> Run:
    return {**row, "scores": {name: {"median": each["runs"][number]} for name, each in row["scores"].items()}}


def verdict(runs: Sequence[Run]) -> dict[str, Any]:
    """The worst and the mean over all networks, objectives and traces, by the medians of their runs.

    The best rival of a network and objective is the one whose scores, each over ours, have the highest mean of all
    traces: one scheduler, not another one for each trace.
    """
    throughput = [run for run in runs if run["objective"] == "throughput"]
    return {
        "worst_against_best_static": min(_ratios(runs, STATIC)),
        "mean_gain_on_changing_traces": _mean_of(_ratios(runs, STATIC, changing=True)),
        "throughput_over_device_only": min(_mean_of(_ratios([run], DEVICE_ONLY)) for run in throughput),
        "throughput_over_server_only": min(_mean_of(_ratios([run], SERVER_ONLY)) for run in throughput),
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
        "gain_on_changing_traces": _mean_of(_ratios([run], STATIC, changing=True)),
        "over_device_only": statistics.fmean(_ratios([run], DEVICE_ONLY)),
        "over_server_only": statistics.fmean(_ratios([run], SERVER_ONLY)),
    }


def _mean_of(ratios: Sequence[float]) -> float:
    """Without a trace of the sort nothing is gained and nothing lost."""
    return statistics.fmean(ratios) if ratios else 1.0


def _mean(run: Run, name: str) -> float:
    return statistics.fmean(row["scores"][name]["median"] for row in run["traces"])


def _ratios(runs: Sequence[Run], name: str, *, changing: bool = False) -> list[float]:
    rows = [row for run in runs for row in run["traces"] if row["changes"] or not changing]
    return [row["scores"][OURS]["median"] / max(row["scores"][name]["median"], _LEAST_SCORE) for row in rows]
