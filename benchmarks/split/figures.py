"""The figures of ``benchmarks/results/split.json`` in documents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.markdown import table
from benchmarks.split.design_tables import DEVICE_ONLY, OURS, RIVALS, SERVER_ONLY, STATIC

_AIMS = (
    ("worst_against_best_static", "worst trace, of the best static design in hindsight", "0.95", 0.95),
    ("mean_gain_on_changing_traces", "mean of traces that change, of the best static design", "1.3", 1.3),
    ("throughput_over_device_only", "throughput, of device only (worst network, mean of traces)", "5", 5.0),
    ("throughput_over_server_only", "throughput, of server only (worst network, mean of traces)", "1", 1.0),
    ("mean_gain_over_best_rival", "mean of traces, of the best rival scheduler's", "1.2", 1.2),
    ("worst_against_best_rival", "worst trace, of the best rival scheduler", "0.97", 0.97),
    ("frames_lost", "frames lost", "0", 0.0),
)
_NAMES = (OURS, STATIC, DEVICE_ONLY, SERVER_ONLY, *RIVALS)
_UNITS = {"throughput": "results a second", "latency": "inverse of the mean latency, 1/s"}


def render(result: dict[str, Any]) -> str:
    """The real stack, trace by trace; then the simulator."""
    parts = []
    if "by_run" in result:
        least, most = result["runs_of_each"]
        runs = "one run" if most == 1 else f"{least} runs" if least == most else f"{least} to {most} runs"
        parts += [
            f"**The real stack**, medians of {runs} of each, {result['at_once']} cameras at a time:",
            _aims(result, "real stack"),
            *(_traces(run) for run in result["runs"]),
            _by_run(result),
        ]
    if result.get("simulated"):
        parts += ["**Simulated**:", _aims(result["simulated"], "simulated"), _by_run(result["simulated"])]
    return "\n\n".join(parts)


def _aims(result: Mapping[str, Any], kind: str) -> str:
    intervals = result.get("intervals", {})
    rows = [
        [what, f"{result[key]:.3g}", _span(intervals.get(key)), aim, _met(key, result[key], limit, intervals.get(key))]
        for key, what, aim, limit in _AIMS
    ]
    return table([kind, "measured", "single runs", "aim", ""], rows)


def _span(interval: list[float] | None) -> str:
    return "–" if interval is None else f"{interval[0]:.3g} to {interval[1]:.3g}"


def _met(key: str, value: float, limit: float, interval: list[float] | None) -> str:
    """A miss counts where no single run met the aim either."""
    fewer_is_better = key == "frames_lost"
    if value <= limit if fewer_is_better else value >= limit:
        return "met"
    best = None if interval is None else (interval[0] if fewer_is_better else interval[1])
    reached = best is not None and (best <= limit if fewer_is_better else best >= limit)
    return "missed, within the scatter of single runs" if reached else "**missed**"


def _traces(run: Mapping[str, Any]) -> str:
    heads = [f"{run['network']}: {_UNITS[run['objective']]}", *_NAMES, "best static design", "changes of ours"]
    rows = [
        [
            row["trace"], *(f"{row['scores'][name]['median']:.2f}" for name in _NAMES),
            row["best_static_design"].removeprefix("static: "), f"{row['switches']:g}",
        ]
        for row in run["traces"]
    ]  # fmt: skip
    return table(heads, rows)


def _by_run(result: Mapping[str, Any]) -> str:
    heads = [
        "network", "objective", "of the best static: worst trace", "mean of changing traces", "of device only",
        "of server only", "best rival", "of it: mean", "worst trace",
    ]  # fmt: skip
    return table(heads, [_row(each) for each in result["by_run"]])


def _row(run: Mapping[str, Any]) -> list[str]:
    keys = ("worst_against_best_static", "gain_on_changing_traces", "over_device_only", "over_server_only")
    cells = [f"{run[key]:.2f}" for key in keys]
    against = [f"{run['gain_over_best_rival']:.2f}", f"{run['worst_against_best_rival']:.2f}"]
    return [run["network"], run["objective"], *cells, run["best_rival"], *against]
