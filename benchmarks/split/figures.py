"""The figures of ``benchmarks/results/split.json`` in documents."""

from __future__ import annotations

from typing import Any

from benchmarks.markdown import table

_AIMS = (
    ("worst_against_best_static", "worst trace, of the best static design in hindsight", "0.95", 0.95),
    ("mean_gain_on_changing_traces", "mean of traces that change, of the best static design", "1.3", 1.3),
    ("throughput_over_device_only", "throughput, of device only (worst network, mean of traces)", "5", 5.0),
    ("throughput_over_server_only", "throughput, of server only (worst network, mean of traces)", "1", 1.0),
    ("mean_gain_over_best_rival", "mean of traces, of the best rival scheduler's", "1.2", 1.2),
    ("worst_against_best_rival", "worst trace, of the best rival scheduler", "0.97", 0.97),
    ("frames_lost", "frames lost", "0", 0.0),
)


def render(result: dict[str, Any]) -> str:
    """The numbers with their aims, then a row for each network and objective."""
    aims = [[what, f"{result[key]:.3g}", aim, _met(key, result[key], limit)] for key, what, aim, limit in _AIMS]
    heads = [
        "network", "objective", "of the best static: worst trace", "mean of changing traces", "of device only",
        "of server only", "best rival", "of it: mean", "worst trace",
    ]  # fmt: skip
    first = table(["simulated", "measured", "aim", ""], aims)
    return f"{first}\n\n{table(heads, [_row(each) for each in result['by_run']])}"


def _met(key: str, value: float, limit: float) -> str:
    met = value <= limit if key == "frames_lost" else value >= limit
    return "met" if met else "**missed**"


def _row(run: dict[str, Any]) -> list[str]:
    keys = ("worst_against_best_static", "gain_on_changing_traces", "over_device_only", "over_server_only")
    cells = [f"{run[key]:.2f}" for key in keys]
    against = [f"{run['gain_over_best_rival']:.2f}", f"{run['worst_against_best_rival']:.2f}"]
    return [run["network"], run["objective"], *cells, run["best_rival"], *against]
