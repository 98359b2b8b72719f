"""Bytes and cloud MACs by the number of outputs, features beside masks made at the camera, as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from benchmarks.outputs.figures import MOST_OUTPUTS, cloud_macs, mask_bytes

PICTURE = "outputs.png"
_COUNTS = range(1, MOST_OUTPUTS + 1)
_BLUE, _RED = "#1f77b4", "#d62728"


def draw(result: dict[str, Any], path: Path) -> None:
    """Write the PNG."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    bits, macs = figure.subplots(1, 2)
    _bits(bits, result)
    _macs(macs, result)
    for axes in (bits, macs):
        axes.set(xlabel="outputs (questions answered of one frame)", xlim=(1, MOST_OUTPUTS))
        axes.grid(visible=True, which="both", alpha=0.25)
    figure.savefig(path, dpi=100, metadata={"Software": None})


def _bits(axes: Axes, result: dict[str, Any]) -> None:
    for row in result["levels"]:
        _line(axes, [row["packet_bytes"]] * len(_COUNTS), f"features, level {row['level']}", _BLUE)
    for row in result["masks"]:
        _line(axes, [mask_bytes(row, count) for count in _COUNTS], f"masks at 1/{row['divisor']}", _RED)
    axes.set(ylabel="bytes a frame", yscale="log", title="What travels")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _macs(axes: Axes, result: dict[str, Any]) -> None:
    _line(axes, [cloud_macs(result, count) / 1e6 for count in _COUNTS], "features", _BLUE)
    _line(axes, [0.0] * len(_COUNTS), "masks", _RED)
    axes.set(ylabel="MMAC a frame", title="What the cloud computes")


def _line(axes: Axes, values: list[float], label: str, colour: str) -> None:
    """With its name at its right end."""
    axes.plot(_COUNTS, values, color=colour)
    axes.annotate(label, (MOST_OUTPUTS, values[-1]), (4, 0), textcoords="offset points", va="center", color=colour)
