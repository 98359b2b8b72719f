"""A search as a picture and a page that show the front as it grows. Files, no server."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from matplotlib.figure import Figure

from narrows.runtime.writing import write_file

PAGE, PICTURE = "search.html", "front.png"
_REFRESH_S = 15
_STYLE = """
:root { color-scheme: light dark }
body { margin: 2rem auto; max-width: 1180px; padding: 0 1rem; font: 15px/1.45 system-ui, sans-serif }
img { width: 100%; height: auto; background: #fff; border-radius: 8px }
td { padding: .1rem 1rem .1rem 0; overflow-wrap: anywhere } td:first-child { color: gray }
"""
Point = tuple[float, float]


@dataclass(frozen=True)
class Shown:
    """What is shown; points are milliseconds, and the proxy negative, or mIoU."""

    looked_at: Sequence[Point]
    front: Sequence[Point]
    trained: Sequence[Point]
    text: str
    proxy: str
    ended: bool


def write_page(folder: Path, shown: Shown, settings: Mapping[str, object]) -> None:
    """Write the picture and the page anew; whoever has it open sees it within seconds."""
    picture = folder / PICTURE
    partial = picture.with_suffix(".writing.png")
    _figure(shown).savefig(partial, dpi=100, metadata={"Software": None})
    partial.replace(picture)
    refresh = "" if shown.ended else f'<meta http-equiv="refresh" content="{_REFRESH_S}">'
    rows = "".join(f"<tr><td>{escape(key)}</td><td>{escape(str(value))}</td></tr>" for key, value in settings.items())
    state = "finished" if shown.ended else "running"
    page = (
        f'<!doctype html><html lang="en"><meta charset="utf-8">{refresh}<title>Search {escape(folder.name)}</title>'
        f"<style>{_STYLE}</style><h1>Search {escape(folder.name)}: {state}</h1><p>{escape(shown.text)}</p>"
        f'<img src="{PICTURE}" alt="the front"><h2>Settings</h2><table>{rows}</table></html>\n'
    )
    write_file(folder / PAGE, page)


def _figure(shown: Shown) -> Figure:
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    looked, trained = figure.subplots(1, 2)
    finite = [point for point in shown.looked_at if math.isfinite(point[1])]
    looked.scatter([ms for ms, _ in finite], [-score for _, score in finite], s=12, color="#9aa", label="looked at")
    if shown.front:
        line = sorted(shown.front)
        looked.plot([ms for ms, _ in line], [-score for _, score in line], marker="o", color="#1f77b4", label="front")
    looked.set(xlabel="milliseconds, sum of the blocks", ylabel=shown.proxy, title="Within the limits")
    trained.scatter([ms for ms, _ in shown.trained], [miou for _, miou in shown.trained], color="#d62728")
    trained.set(xlabel="milliseconds, whole network", ylabel="mIoU, held out", title="Trained briefly")
    for axes in (looked, trained):
        axes.grid(visible=True, alpha=0.3)
    if finite:
        looked.legend()
    return figure
