"""Rate against accuracy as a picture, drawn with Pillow alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from benchmarks.rate.claims import curve_of
from benchmarks.rate.curves import Curve, envelope

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 1100, 620, 70, 30, 30, 50
_INK, _GRID = (40, 40, 40), (222, 222, 222)
_RATES = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
COLOURS = {
    "end_to_end": (20, 20, 20),
    "end_to_end_p": (90, 90, 90),
    "joint": (31, 119, 180),
    "joint_together": (8, 70, 130),
    "separate_together": (120, 20, 25),
    "small": (23, 190, 207),
    "separate_deeplabv3plus": (214, 39, 40),
    "separate_lraspp": (255, 127, 14),
    "separate_context": (180, 130, 60),
    "mask_at_edge": (148, 103, 189),
    "jpeg": (188, 189, 34),
    "webp": (140, 86, 75),
    "avif": (44, 160, 44),
    "h264": (227, 119, 194),
    "hevc": (127, 127, 127),
}


def draw(methods: Mapping[str, Mapping[str, Any]], path: Path) -> Path:
    """Write the PNG: bits per pixel (log) against mIoU, codecs by their envelopes."""
    image = Image.new("RGB", (_WIDTH, _HEIGHT), "white")
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(14)
    curves = {name: _shown(name, method) for name, method in methods.items()}
    frame = _Frame(curves)
    frame.grid(pen, font)
    for row, (name, curve) in enumerate(curves.items()):
        colour = COLOURS[name]
        places = [frame.place(point.bits_per_pixel, point.miou) for point in curve]
        if len(places) > 1:
            pen.line(places, fill=colour, width=3)
        for x, y in places:
            pen.ellipse([x - 4, y - 4, x + 4, y + 4], fill=colour)
        pen.text(
            (_WIDTH - _RIGHT - 10, frame.bottom - 20 * (len(curves) - row)), methods[name]["label"], colour, font, "ra"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, optimize=True)
    return path


def _shown(name: str, method: Mapping[str, Any]) -> Curve:
    curve = curve_of(method)
    return envelope(curve) if name == "mask_at_edge" else curve


class _Frame:
    def __init__(self, curves: Mapping[str, Curve]) -> None:
        points = [point for curve in curves.values() for point in curve]
        rates = [point.bits_per_pixel for point in points]
        self._low = math.log(max(r for r in _RATES if r <= max(min(rates), _RATES[0])))
        self._high = math.log(min((r for r in _RATES if r >= max(rates)), default=_RATES[-1]))
        self._worst = math.floor(20 * max(0.0, min(p.miou for p in points))) / 20
        self._best = math.ceil(20 * max(p.miou for p in points) + 0.2) / 20
        self.bottom = _HEIGHT - _BOTTOM

    def place(self, rate: float, miou: float) -> tuple[float, float]:
        x = (math.log(rate) - self._low) / (self._high - self._low)
        y = (miou - self._worst) / (self._best - self._worst)
        return _LEFT + x * (_WIDTH - _LEFT - _RIGHT), self.bottom - y * (self.bottom - _TOP)

    def grid(self, pen: ImageDraw.ImageDraw, font: ImageFont.ImageFont | ImageFont.FreeTypeFont) -> None:
        for rate in _RATES:
            if self._low <= math.log(rate) <= self._high:
                x, _ = self.place(rate, self._worst)
                pen.line([(x, _TOP), (x, self.bottom)], fill=_GRID)
                pen.text((x, self.bottom + 6), f"{rate:g}", _INK, font, anchor="ma")
        for step in range(round(20 * self._worst), round(20 * self._best) + 1):
            _, y = self.place(math.exp(self._low), step / 20)
            pen.line([(_LEFT, y), (_WIDTH - _RIGHT, y)], fill=_GRID)
            pen.text((_LEFT - 8, y), f"{5 * step} %", _INK, font, anchor="rm")
        pen.text((_WIDTH - _RIGHT, self.bottom + 26), "bits per pixel, whole packets", _INK, font, anchor="ra")
        pen.text((_LEFT, 6), "mIoU", _INK, font)
