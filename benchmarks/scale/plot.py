"""A picture of a ramp: load against streams, replicas and p95, drawn with Pillow alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

_WIDTH, _PANEL, _LEFT, _RIGHT, _TOP, _BOTTOM = 1100, 210, 80, 20, 34, 30
_INK, _GRID = (40, 40, 40), (222, 222, 222)
_COLOURS = ((31, 119, 180), (214, 39, 40), (44, 160, 44), (148, 103, 189))

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Panel:
    """One diagram: lines, or dots, by name, over a common x."""

    title: str
    x: str
    series: Mapping[str, Points]
    dots: bool = False


def panels_of(name: str, replicas: str, result: Mapping[str, Any]) -> list[Panel]:
    """What is worth seeing of one ramp."""
    samples = result["ramp"]["samples"]

    def over(x: str, y: str) -> Points:
        return [(s[x], s[y]) for s in samples if s[y] is not None and math.isfinite(s[y])]

    return [
        Panel(f"{name}: streams, and masks per second", "seconds",
              {"streams": over("at_s", "streams"), "masks/s": over("at_s", "masks_per_s")}),
        Panel(f"{name}: {replicas}", "seconds", {"ready": over("at_s", "replicas"), "wanted": over("at_s", "wanted")}),
        Panel(f"{name}: load of what is ready", "seconds", {"load": over("at_s", "load")}),
        Panel(f"{name}: p95 of the last 5 s, ms", "seconds", {"p95": over("at_s", "p95_ms")}),
        Panel(f"{name}: load against streams, by {replicas}", "streams",
              {f"{n} {replicas}": [(s["seen_streams"], s["load"]) for s in samples
                                   if s["replicas"] == n and s["load"] is not None and math.isfinite(s["load"])]
               for n in sorted({s["replicas"] for s in samples if s["replicas"]})}, dots=True),
    ]  # fmt: skip


def draw(panels: Sequence[Panel], path: Path) -> Path:
    """Write the panels below each other as a PNG."""
    image = Image.new("RGB", (_WIDTH, _PANEL * len(panels)), "white")
    pen = ImageDraw.Draw(image)
    for row, panel in enumerate(panels):
        _draw(pen, panel, row * _PANEL)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, optimize=True)
    return path


def _draw(pen: ImageDraw.ImageDraw, panel: Panel, top: int) -> None:
    points = [point for line in panel.series.values() for point in line]
    x_ticks, y_ticks = (ticks(max((point[i] for point in points), default=1.0)) for i in (0, 1))
    most_x, most_y = x_ticks[-1], y_ticks[-1]
    x0, x1, y0, y1 = _LEFT, _WIDTH - _RIGHT, top + _PANEL - _BOTTOM, top + _TOP

    def place(x: float, y: float) -> tuple[float, float]:
        return x0 + (x1 - x0) * x / most_x, y0 - (y0 - y1) * y / most_y

    font = ImageFont.load_default(13)
    for value in y_ticks:
        pen.line([place(0, value), place(most_x, value)], fill=_GRID)
        pen.text((x0 - 8, place(0, value)[1]), f"{value:g}", _INK, font, anchor="rm")
    for value in x_ticks:
        pen.text((place(value, 0)[0], y0 + 4), f"{value:g}", _INK, font, anchor="ma")
    pen.text((x0, top + 8), panel.title, _INK, font)
    pen.text((x1, y0 + 16), panel.x, _INK, font, anchor="ra")
    for i, (name, line) in enumerate(panel.series.items()):
        colour = _COLOURS[i % len(_COLOURS)]
        places = [place(x, y) for x, y in line]
        if panel.dots:
            for x, y in places:
                pen.ellipse([x - 2, y - 2, x + 2, y + 2], fill=colour)
        elif len(places) > 1:
            pen.line(places, fill=colour, width=2)
        pen.text((x1 - 110 * (len(panel.series) - i - 1), top + 8), name, colour, font, anchor="ra")


def ticks(most: float) -> list[float]:
    """From 0 to ``most`` or a little more, in at most six steps of 1, 2 or 5 times a power of ten."""
    if most <= 0:
        return [0.0, 1.0]
    power = 10.0 ** math.floor(math.log10(most / 6))
    step = next(n * power for n in (1, 2, 5, 10) if n * power * 6 >= most)
    return [round(step * i, 12) for i in range(math.ceil(most / step - 1e-9) + 1)]
