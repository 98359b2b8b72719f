"""A run as one HTML page: loss, mIoU and bits over the epochs, the time left, the settings. A file, no server."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import asdict
from html import escape
from pathlib import Path

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from narrows.models.training.config import TrainingConfig
from narrows.models.training.progress import Record, read_records, seconds_left

PAGE = "training.html"
_REFRESH_S = 15
_STYLE = """
:root { color-scheme: light dark }
body { margin: 2rem auto; max-width: 1180px; padding: 0 1rem; font: 15px/1.45 system-ui, sans-serif }
.charts { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(340px, 1fr)) }
.charts svg { width: 100%; height: auto; background: #fff; border-radius: 8px }
progress { width: 100% } td { padding: .1rem 1rem .1rem 0 } td:first-child { color: gray }
"""


def write_run_page(config: TrainingConfig, folder: Path) -> None:
    """Write the page anew from the run folder's records; whoever has it open sees it within seconds.

    Does nothing before the first epoch has ended.
    """
    records = read_records(folder)
    if not records:
        return
    partial = (folder / PAGE).with_suffix(".partial")
    partial.write_text(_page(config, folder.name, records))
    partial.replace(folder / PAGE)


def _page(config: TrainingConfig, name: str, records: Sequence[Record]) -> str:
    done, last = records[-1]["epoch"], records[-1]
    ended = done >= config.epochs
    state = "finished" if ended else f"about {seconds_left(config, records) / 60:.0f} min left"
    refresh = "" if ended else f'<meta http-equiv="refresh" content="{_REFRESH_S}">'
    charts = "".join(_chart(title, draw, records) for title, draw in _CHARTS if _occurs(title, records))
    rows = "".join(f"<tr><td>{escape(key)}</td><td>{escape(str(value))}</td></tr>" for key, value in last.items())
    settings = "".join(
        f"<tr><td>{escape(key)}</td><td>{escape(str(value))}</td></tr>" for key, value in asdict(config).items()
    )
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8">{refresh}<title>{escape(name)}: {done} of '
        f"{config.epochs} epochs</title><style>{_STYLE}</style><h1>Training {escape(name)}</h1>"
        f'<p>Epoch {done} of {config.epochs}, {state}.</p><progress max="{config.epochs}" value="{done}"></progress>'
        f'<div class="charts">{charts}</div><h2>Last epoch</h2><table>{rows}</table>'
        f"<h2>Settings</h2><table>{settings}</table></html>\n"
    )


def _occurs(title: str, records: Sequence[Record]) -> bool:
    return title != "mIoU" or bool(_keys(records, "miou"))


def _keys(records: Sequence[Record], prefix: str) -> list[str]:
    return sorted({key for record in records for key in record if key.startswith(prefix)})


def _line(axes: Axes, records: Sequence[Record], key: str, label: str) -> None:
    shown = [record for record in records if key in record]
    axes.plot([r["epoch"] for r in shown], [r[key] for r in shown], label=label, marker="." if len(shown) < 60 else "")


def _losses(axes: Axes, records: Sequence[Record]) -> None:
    for key in ("loss", "task"):
        _line(axes, records, key, key)
    axes.set(ylabel="loss")


def _mious(axes: Axes, records: Sequence[Record]) -> None:
    for key in _keys(records, "miou"):
        _line(axes, records, key, f"level {key.removeprefix('miou')}")
    axes.set(ylabel="mIoU on blocks not trained on")


def _rates(axes: Axes, records: Sequence[Record]) -> None:
    for key in _keys(records, "bpp"):
        _line(axes, records, key, f"level {key.removeprefix('bpp')}")
    axes.set(ylabel="bits per pixel", yscale="log")


_Draw = Callable[[Axes, Sequence[Record]], None]
_CHARTS: tuple[tuple[str, _Draw], ...] = (("Loss", _losses), ("mIoU", _mious), ("Bits", _rates))


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
