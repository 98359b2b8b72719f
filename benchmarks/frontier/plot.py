"""One picture: mIoU by the camera's work, a line a design, each at its best within the bits that are compared."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

_LOOKS = {
    "edge": ("#d62728", "mask made at the camera"),
    "refined": ("#ff7f0e", "the same, refined in the cloud"),
    "features": ("#1f77b4", "features"),
    "layered": ("#2ca02c", "mask and features (layered)"),
}


def best_by_budget(result: Mapping[str, Any], design: str) -> list[tuple[float, float]]:
    """``(camera's GMAC, mIoU)`` of a design at each budget, of the ways within the bits."""
    best: dict[float, tuple[float, float]] = {}
    for row in result["rows"]:
        if row["design"] != design or row["bits_per_pixel"] > result["bits_at_most"]:
            continue
        point = (row["camera_gmac"], row["miou"])
        best[row["budget_gmac"]] = max(best.get(row["budget_gmac"], point), point, key=lambda each: each[1])
    return [best[budget] for budget in sorted(best)]


def draw(result: Mapping[str, Any], path: Path) -> Path:
    """Write the PNG."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for design, (colour, label) in _LOOKS.items():
        if points := best_by_budget(result, design):
            axes.plot(*zip(*points, strict=True), marker="o", color=colour, label=label)
    if pictures := best_by_budget(result, "pictures"):
        cloud_gmac = max(row["cloud_gmac"] for row in result["rows"] if row["design"] == "pictures")
        label = f"picture (AVIF or H.264), {cloud_gmac:.1f} GMAC in the cloud"
        axes.axhline(pictures[0][1], color="#7f7f7f", linestyle="--", label=label)
    axes.set(
        xscale="log",
        xlabel="GMAC a frame at the camera",
        ylabel="mIoU on a drive that was not trained on",
        title=f"At most {result['bits_at_most']:g} bits per pixel",
    )
    axes.grid(visible=True, which="both", alpha=0.25)
    if axes.get_legend_handles_labels()[0]:
        axes.legend()
    figure.savefig(path, dpi=100, metadata={"Software": None})
    return path
