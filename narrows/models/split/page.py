"""The frontier as one HTML file: nothing is fetched, so it can be mailed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from narrows.models.split.frontier import Design

_WIDTH, _HEIGHT, _EDGE = 960, 460, 60
_COLOURS = {"device only": "#d62728", "server only": "#ff7f0e", "split": "#1f77b4"}
_STYLE = """
:root { color-scheme: light dark }
body { margin: 2rem auto; max-width: 1100px; padding: 0 1rem; font: 15px/1.45 system-ui, sans-serif }
svg { width: 100%; height: auto; font: 12px system-ui, sans-serif }
text { fill: currentColor }
.grid { stroke: #8884 }
table { border-collapse: collapse }
td, th { padding: .2rem .8rem .2rem 0; text-align: right }
td:first-child, th:first-child { text-align: left }
"""
_HEADS = ("design", "bytes", "device ms", "server ms", "memory, MB", "agreement")


def frontier_page(title: str, designs: Sequence[Design], best: Sequence[Design]) -> str:
    """Agreement against bytes, filled where no design is better, with a table of those."""
    heads = "".join(f"<th>{head}</th>" for head in _HEADS)
    rows = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row(each))}</tr>" for each in best)
    legend = " · ".join(f'<span style="color:{colour}">●</span> {kind}' for kind, colour in _COLOURS.items())
    return (
        f'<!doctype html><meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style>'
        f"<h1>{escape(title)}</h1><p>{legend}; filled where no design is better in everything</p>"
        f"{_chart(designs, best)}<table><tr>{heads}</tr>{rows}</table>\n"
    )


def row(design: Design) -> tuple[str, ...]:
    """A design as the cells of a table."""
    return (
        design.name,
        f"{design.link_bytes:,.0f}",
        f"{design.device_ms:.2f}",
        f"{design.server_ms:.2f}",
        f"{design.memory_bytes / 1e6:.1f}",
        f"{design.agreement:.2%}",
    )


def _chart(designs: Sequence[Design], best: Sequence[Design]) -> str:
    low = math.floor(math.log10(min(max(1.0, each.link_bytes) for each in designs)))
    high = max(low + 1, math.ceil(math.log10(max(max(1.0, each.link_bytes) for each in designs))))
    right, bottom = _WIDTH - _EDGE, _HEIGHT - _EDGE
    parts = []
    for power in range(low, high + 1):
        x = _EDGE + (power - low) / (high - low) * (right - _EDGE)
        parts.append(f'<path class="grid" d="M{x:.0f} 20V{bottom}"/>')
        parts.append(f'<text x="{x:.0f}" y="{bottom + 18}" text-anchor="middle">{10**power:,} bytes</text>')
    for tenth in range(0, 11, 2):
        y = bottom - tenth / 10 * (bottom - 20)
        parts.append(f'<path class="grid" d="M{_EDGE} {y:.0f}H{right}"/>')
        parts.append(f'<text x="{_EDGE - 8}" y="{y + 4:.0f}" text-anchor="end">{10 * tenth} %</text>')
    for each in designs:
        x = _EDGE + (math.log10(max(1.0, each.link_bytes)) - low) / (high - low) * (right - _EDGE)
        y = bottom - each.agreement * (bottom - 20)
        colour = _COLOURS[each.kind]
        fill = colour if each in best else "none"
        tip = escape(f"{each.name}: {', '.join(row(each)[1:])}")
        parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" stroke="{colour}" fill="{fill}"><title>{tip}</title></circle>'
        )
    body = "\n".join(parts)
    return f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="agreement against bytes">{body}</svg>'
