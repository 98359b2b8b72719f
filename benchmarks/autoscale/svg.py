"""As much of SVG as a plot needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

_WIDTH, _HEIGHT = 460, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 78, 14, 30, 44
_COLUMNS = 2
_LEGEND = 26
Place = tuple[float, float]


@dataclass
class Panel:
    """One plot. Ticks are (value, label); the first and last of them are the ends of the axis."""

    title: str
    x_label: str
    y_label: str
    x_ticks: Sequence[tuple[float, str]]
    y_ticks: Sequence[tuple[float, str]]
    legend: dict[str, str] = field(default_factory=dict)
    _marks: list[str] = field(default_factory=list)

    def line(self, places: Sequence[Place], colour: str, label: str, *, dots: bool = False) -> None:
        """Draw a line through these places."""
        self.legend[label] = colour
        corners = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(self._at, places))
        self._marks.append(f'<polyline points="{corners}" fill="none" stroke="{colour}" stroke-width="1.4"/>')
        if dots:
            self._marks += [
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2" fill="{colour}"/>' for x, y in map(self._at, places)
            ]

    def dot(self, place: Place, colour: str, label: str) -> None:
        """Draw a fat dot."""
        self.legend[label] = colour
        x, y = self._at(place)
        self._marks.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="6" fill="{colour}" stroke="white"/>')

    def to_svg(self) -> str:
        """The panel with its axes, the upper left corner at the origin."""
        left, right, top, bottom = _LEFT, _WIDTH - _RIGHT, _TOP, _HEIGHT - _BOTTOM
        parts = [_text((left + right) / 2, 18, self.title, "middle", bold=True)]
        for value, label in self.x_ticks:
            x, _ = self._at((value, self.y_ticks[0][0]))
            parts.append(f'<path d="M{x:.1f} {top}V{bottom}" stroke="#ddd"/>{_text(x, bottom + 15, label, "middle")}')
        for value, label in self.y_ticks:
            _, y = self._at((self.x_ticks[0][0], value))
            parts.append(f'<path d="M{left} {y:.1f}H{right}" stroke="#ddd"/>{_text(left - 6, y + 4, label, "end")}')
        parts.append(_text((left + right) / 2, _HEIGHT - 12, self.x_label, "middle"))
        parts.append(
            f'<g transform="translate(14 {(top + bottom) / 2}) rotate(-90)">{_text(0, 0, self.y_label, "middle")}</g>'
        )
        return "\n".join([*parts, *self._marks])

    def _at(self, place: Place) -> Place:
        left, right, top, bottom = _LEFT, _WIDTH - _RIGHT, _TOP, _HEIGHT - _BOTTOM
        x = _share(place[0], self.x_ticks[0][0], self.x_ticks[-1][0])
        y = _share(place[1], self.y_ticks[0][0], self.y_ticks[-1][0])
        return left + x * (right - left), bottom - y * (bottom - top)


def write_panels(path: Path, panels: Sequence[Panel]) -> None:
    """Write the panels side by side and below each other, under one legend."""
    rows = -(-len(panels) // _COLUMNS)
    width, height = _COLUMNS * _WIDTH, rows * _HEIGHT + _LEGEND
    legend = {label: colour for panel in panels for label, colour in panel.legend.items()}
    parts = []
    for number, (label, colour) in enumerate(legend.items()):
        x = _LEFT + number * (width - 2 * _LEFT) / len(legend)
        parts.append(
            f'<rect x="{x:.0f}" y="9" width="14" height="8" fill="{colour}"/>{_text(x + 20, 17, label, "start")}'
        )
    for number, panel in enumerate(panels):
        x, y = number % _COLUMNS * _WIDTH, number // _COLUMNS * _HEIGHT + _LEGEND
        parts.append(f'<g transform="translate({x} {y})">{panel.to_svg()}</g>')
    body = "\n".join(parts)
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        f'font-size="12"><rect width="100%" height="100%" fill="white"/>\n{body}\n</svg>\n',
        encoding="utf-8",
    )


def _share(value: float, least: float, most: float) -> float:
    return (min(max(value, least), most) - least) / (most - least)


def _text(x: float, y: float, text: str, anchor: str, *, bold: bool = False) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="#333"{weight}>{escape(text)}</text>'
