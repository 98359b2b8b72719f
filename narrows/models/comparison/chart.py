"""Rate against accuracy as inline SVG: bits per pixel on a log axis, mIoU upwards."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

WIDTH, HEIGHT = 960, 480
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 236, 16, 44
_TICKS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)
_LABEL_GAP = 16
COLOURS = ("#1f77b4", "#17becf", "#d62728", "#ff7f0e", "#bcbd22", "#8c564b", "#2ca02c", "#e377c2", "#9467bd", "#7f7f7f")
Place = tuple[float, float]


def rate_chart(methods: Mapping[str, Mapping[str, Any]]) -> str:
    """All methods' points, joined where they are better than every cheaper one; labelled at their right ends."""
    lines = {row["label"]: sorted((p["bits_per_pixel"], p["miou"]) for p in row["points"]) for row in methods.values()}
    axes = _Axes([place for line in lines.values() for place in line])
    drawn = [_line(axes, line, colour) for line, colour in zip(lines.values(), _colours(lines), strict=True)]
    heights = _apart([axes.at(_rising(line)[-1])[1] for line in lines.values()])
    labels = [
        f'<text x="{WIDTH - _RIGHT + 12}" y="{y + 4:.0f}" fill="{colour}">{escape(label)}</text>'
        for (label, y), colour in zip(zip(lines, heights, strict=True), _colours(lines), strict=True)
    ]
    body = "\n".join([*axes.grid(), *drawn, *labels])
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="mIoU against bits per pixel">{body}</svg>'


def _colours(lines: Mapping[str, Sequence[Place]]) -> list[str]:
    return [COLOURS[index % len(COLOURS)] for index in range(len(lines))]


def _rising(line: Sequence[Place]) -> list[Place]:
    best: list[Place] = []
    for place in line:
        if not best or place[1] > best[-1][1]:
            best.append(place)
    return best


def _line(axes: _Axes, line: Sequence[Place], colour: str) -> str:
    corners = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(axes.at, _rising(line)))
    dots = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"><title>{place[0]:.4f} bpp, {place[1]:.1%}</title>'
        "</circle>"
        for place, (x, y) in ((place, axes.at(place)) for place in line)
    )
    return f'<polyline points="{corners}" fill="none" stroke="{colour}" stroke-width="2.5"/>{dots}'


def _apart(heights: Sequence[float]) -> list[float]:
    """The same heights, moved down where labels would overlap, and up again where they would leave the chart."""
    order = sorted(range(len(heights)), key=heights.__getitem__)
    placed = list(heights)
    for above, below in itertools.pairwise(order):
        placed[below] = max(placed[below], placed[above] + _LABEL_GAP)
    limit: float = HEIGHT - _BOTTOM
    for index in reversed(order):
        placed[index] = limit = min(placed[index], limit)
        limit -= _LABEL_GAP
    return placed


class _Axes:
    def __init__(self, places: Sequence[Place]) -> None:
        rates, mious = [rate for rate, _ in places], [miou for _, miou in places]
        self._low = max((tick for tick in _TICKS if tick <= min(rates)), default=_TICKS[0])
        self._high = min((tick for tick in _TICKS if tick >= max(rates)), default=_TICKS[-1])
        self._worst = math.floor(20 * min(mious)) / 20
        self._best = math.floor(20 * max(mious) + 1) / 20

    def at(self, place: Place) -> Place:
        x = math.log(place[0] / self._low) / math.log(self._high / self._low)
        y = (place[1] - self._worst) / (self._best - self._worst)
        return _LEFT + x * (WIDTH - _LEFT - _RIGHT), HEIGHT - _BOTTOM - y * (HEIGHT - _TOP - _BOTTOM)

    def grid(self) -> list[str]:
        right, bottom = WIDTH - _RIGHT, HEIGHT - _BOTTOM
        parts = []
        for tick in _TICKS:
            if self._low <= tick <= self._high:
                x, _ = self.at((tick, self._worst))
                parts.append(f'<path class="grid" d="M{x:.1f} {_TOP}V{bottom}"/>')
                parts.append(f'<text class="tick" x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{tick:g}</text>')
        for step in range(round(20 * self._worst), round(20 * self._best) + 1):
            _, y = self.at((self._low, step / 20))
            parts.append(f'<path class="grid" d="M{_LEFT} {y:.1f}H{right}"/>')
            parts.append(f'<text class="tick" x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{5 * step} %</text>')
        parts.append(f'<text class="tick" x="{right}" y="{HEIGHT - 6}" text-anchor="end">bits per pixel</text>')
        return parts
