"""A run as one HTML page: loss, mIoU and bits over the epochs, the time left, the settings. A file, no server."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from narrows.models.training.progress import Record, read_records
from narrows.runtime.writing import write_file

PAGE = "training.html"
SecondsLeft = Callable[[Sequence[Record]], float]
_REFRESH_S = 15
_STYLE = """
:root { color-scheme: light dark }
body { margin: 2rem auto; max-width: 1180px; padding: 0 1rem; font: 15px/1.45 system-ui, sans-serif }
.charts { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(340px, 1fr)) }
.charts svg { width: 100%; height: auto; background: #fff; border-radius: 8px }
progress { width: 100% } td { padding: .1rem 1rem .1rem 0 } td:first-child { color: gray }
"""


def write_run_page(folder: Path, epochs: int, seconds_left: SecondsLeft, settings: Mapping[str, object]) -> None:
    """Write the page anew from the run folder's records; whoever has it open sees it within seconds.

    Does nothing before the first epoch has ended.

    Args:
        folder: the run's.
        epochs: that the run has in all.
        seconds_left: what is left to do after these records.
        settings: to show.
    """
    records = read_records(folder)
    if not records:
        return
    write_file(folder / PAGE, _page(folder.name, epochs, seconds_left, settings, records))


def _page(
    name: str, epochs: int, seconds_left: SecondsLeft, settings: Mapping[str, object], records: Sequence[Record]
) -> str:
    done, last = records[-1]["epoch"], records[-1]
    ended = done >= epochs
    state = "finished" if ended else f"about {seconds_left(records) / 60:.0f} min left"
    refresh = "" if ended else f'<meta http-equiv="refresh" content="{_REFRESH_S}">'
    charts = "".join(_chart(title, draw, records) for title, draw in _CHARTS if _occurs(title, records))
    rows = "".join(f"<tr><td>{escape(key)}</td><td>{escape(str(value))}</td></tr>" for key, value in last.items())
    shown = "".join(f"<tr><td>{escape(key)}</td><td>{escape(str(value))}</td></tr>" for key, value in settings.items())
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8">{refresh}<title>{escape(name)}: {done} of '
        f"{epochs} epochs</title><style>{_STYLE}</style><h1>Training {escape(name)}</h1>"
        f'<p>Epoch {done} of {epochs}, {state}.</p><progress max="{epochs}" value="{done}"></progress>'
        f'<div class="charts">{charts}</div><h2>Last epoch</h2><table>{rows}</table>'
        f"<h2>Settings</h2><table>{shown}</table></html>\n"
    )


def _occurs(title: str, records: Sequence[Record]) -> bool:
    return bool(_keys(records, _NEEDS[title]))


def _keys(records: Sequence[Record], prefix: str) -> list[str]:
    return sorted({key for record in records for key in record if key.startswith(prefix)})


def _line(axes: Axes, records: Sequence[Record], key: str, label: str) -> None:
    shown = [record for record in records if key in record]
    axes.plot([r["epoch"] for r in shown], [r[key] for r in shown], label=label, marker="." if len(shown) < 60 else "")


def _losses(axes: Axes, records: Sequence[Record]) -> None:
    for key in [key for key in ("loss", "task") if key in records[-1]]:
        _line(axes, records, key, key)
    axes.set(ylabel="loss")


def _mious(axes: Axes, records: Sequence[Record]) -> None:
    for key in _keys(records, "miou"):
        _line(axes, records, key, f"level {key.removeprefix('miou')}")
    for key in _keys(records, "bad_miou"):
        _line(axes, records, key, f"bad pictures, level {key.removeprefix('bad_miou')}")
    axes.set(ylabel="mIoU on blocks not trained on")


def _rates(axes: Axes, records: Sequence[Record]) -> None:
    for key in _keys(records, "bpp"):
        _line(axes, records, key, f"level {key.removeprefix('bpp')}")
    axes.set(ylabel="bits per pixel", yscale="log")


def _overlaps(axes: Axes, records: Sequence[Record]) -> None:
    _line(axes, records, "iou", "of views trained on")
    axes.set(ylabel="intersection over union")


_Draw = Callable[[Axes, Sequence[Record]], None]
_CHARTS: tuple[tuple[str, _Draw], ...] = (("Loss", _losses), ("mIoU", _mious), ("Bits", _rates), ("IoU", _overlaps))
_NEEDS = {"Loss": "loss", "mIoU": "miou", "Bits": "bpp", "IoU": "iou"}
"""The first letters of the records' keys that a chart shows; without them it is left out."""


def _chart(title: str, draw: _Draw, records: Sequence[Record]) -> str:
    figure = Figure(figsize=(4.8, 3.4), layout="constrained")
    axes = figure.subplots()
    draw(axes, records)
    axes.set(xlabel="epoch", title=title)
    axes.grid(visible=True, alpha=0.3)
    axes.legend()
    drawn = io.StringIO()
    with rc_context({"svg.hashsalt": "narrows", "svg.fonttype": "none"}):
        figure.savefig(drawn, format="svg", metadata={"Date": None})
    svg = drawn.getvalue()
    return svg[svg.index("<svg") :]
