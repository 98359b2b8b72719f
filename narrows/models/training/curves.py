"""A run's curves as a picture: loss, task loss and bits per pixel by level over the epochs."""

from __future__ import annotations

import json
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


def draw_curves(progress: Path, picture: Path) -> None:
    """Read ``progress.jsonl`` and write a PNG beside it."""
    records = [json.loads(line) for line in progress.read_text().splitlines()]
    epochs = [record["epoch"] for record in records]
    figure = Figure(figsize=(9, 4), layout="constrained")
    FigureCanvasAgg(figure)
    losses, rates = figure.subplots(1, 2)
    for name in ("loss", "task"):
        losses.plot(epochs, [record[name] for record in records], label=name)
    for name in (key for key in records[-1] if key.startswith("bpp")):
        rates.plot(epochs, [record[name] for record in records], label=f"level {name.removeprefix('bpp')}")
    losses.set(xlabel="epoch", ylabel="loss")
    rates.set(xlabel="epoch", ylabel="bits per pixel", yscale="log")
    for axes in (losses, rates):
        axes.grid(visible=True, alpha=0.3)
        axes.legend()
    figure.savefig(picture, dpi=100)
