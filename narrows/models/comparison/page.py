"""One self-contained HTML page: nothing is fetched, so it can be mailed."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from narrows.contract.errors import RecordError
from narrows.models.comparison.chart import rate_chart
from narrows.models.comparison.results import ComparedFrame, Mask, Results
from narrows.runtime.writing import write_file

_TYPES = {".png": "image/png", ".jpg": "image/jpeg"}
_TILES = (
    ("cloud_parameter_ratio", "cloud parameters, of separate DeepLabv3's", "{:.1%}"),
    ("cloud_mac_ratio", "cloud MACs, of separate DeepLabv3's", "{:.1%}"),
    ("mean_miou_margin", "points of mIoU over separate DeepLabv3, mean", "{:+.2f}"),
    ("worst_miou_margin", "points of mIoU over separate DeepLabv3, at worst", "{:+.2f}"),
    ("equal_cost_margin", "points of mIoU over LR-ASPP at equal cost", "{:+.2f}"),
    ("best_miou", "mIoU within 0.08 bits per pixel", "{:.1%}"),
    ("miou_at_0_025_bpp", "mIoU at 0.025 bits per pixel", "{:.1%}"),
    ("bits_ratio_avif", "of AVIF's bits at equal accuracy", "{:.1%}"),
    ("bits_ratio_jpeg", "of JPEG's bits at equal accuracy", "{:.1%}"),
    ("bits_ratio_edge_mask", "of the bits of a mask made at the camera", "{:.1%}"),
)
_STYLE = """
:root { color-scheme: light dark; --ink: #1c1c1c; --paper: #fff; --line: #ddd; --soft: #666; --tile: #f4f4f2 }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8e8e8; --paper: #161616; --line: #383838; --soft: #999; --tile: #222 }
}
body { margin: 2rem auto; max-width: 1180px; padding: 0 1rem; font: 15px/1.45 system-ui, sans-serif;
  color: var(--ink); background: var(--paper) }
h1 { font-size: 1.5rem; margin: 0 }
h2 { font-size: 1.1rem; margin: 2.2rem 0 .6rem }
p { color: var(--soft); margin: .3rem 0 }
svg { width: 100%; height: auto; font: 12px system-ui, sans-serif }
.grid { stroke: var(--line) }
.tick { fill: var(--soft) }
.tiles, .masks { display: grid; gap: .7rem; grid-template-columns: repeat(auto-fill, minmax(200px, 1fr)) }
.tile { background: var(--tile); border-radius: 8px; padding: .7rem .9rem }
.tile b { display: block; font-size: 1.4rem }
.tile span, figcaption, td { color: var(--soft); font-size: .85rem }
figure { margin: 0 }
img { width: 100%; border-radius: 4px; display: block }
figcaption b { color: var(--ink); font-weight: 600 }
table { border-collapse: collapse; width: 100% }
td { padding: .15rem .5rem .15rem 0; white-space: nowrap }
td.bar { width: 45% }
.bar div { background: #1f77b4; height: 10px; border-radius: 3px; min-width: 2px }
"""


def write_page(results: Results, path: Path) -> None:
    """Write the page.

    Raises:
        RecordError: a picture that the index names is missing.
    """
    table = results.table
    data = table["data"]
    parts = [
        "<!doctype html><html lang='en'><meta charset='utf-8'><title>Narrows: rate, accuracy, cost</title>",
        f"<meta name='viewport' content='width=device-width'><style>{_STYLE}</style>",
        "<h1>Rate, accuracy, cost</h1>",
        (
            f"<p>{escape(data['name'])}, split {escape(data['split'])}, {data['frames']} frames. "
            f"{escape(table['command'])}; {escape(table['machine'])}. Whole packets; the full network on uncompressed "
            f"pictures reaches {table['uncompressed']['miou']:.1%}.</p>"
        ),
        rate_chart(table["methods"]),
        f"<div class='tiles'>{''.join(_tile(table['claims'], *tile) for tile in _TILES)}</div>",
        "<h2>What the cloud computes for a frame</h2>",
        _costs(table["methods"]),
        *(_frame(frame) for frame in results.frames),
        "</html>",
    ]
    write_file(path, "\n".join(parts))


def _tile(claims: Mapping[str, float | None], name: str, words: str, form: str) -> str:
    value = claims[name]
    shown = "no overlap" if value is None else form.format(value)
    return f"<div class='tile'><b>{shown}</b><span>{escape(words)}</span></div>"


def _costs(methods: Mapping[str, Mapping[str, Any]]) -> str:
    most = max(row["cloud"]["macs"] for row in methods.values())
    rows = [
        f"<tr><td>{escape(row['label'])}</td><td>{row['cloud']['parameters'] / 1e6:.2f} M parameters</td>"
        f"<td>{row['cloud']['macs'] / 1e9:.2f} GMAC</td><td>{row['cloud']['cpu_ms']:.1f} ms</td>"
        f"<td class='bar'><div style='width:{100 * row['cloud']['macs'] / most:.1f}%'></div></td></tr>"
        for row in methods.values()
    ]
    return f"<table>{''.join(rows)}</table>"


def _frame(frame: ComparedFrame) -> str:
    rates = sorted({mask.near_bits_per_pixel for mask in frame.masks})
    rows = [
        f"<p>nearest to {rate:g} bits per pixel</p><div class='masks'>"
        + "".join(_mask(mask) for mask in frame.masks if mask.near_bits_per_pixel == rate)
        + "</div>"
        for rate in rates
    ]
    given = _figure(frame.picture, "<b>picture</b>") + _figure(frame.labels, "<b>labels</b>")
    return f"<h2>{escape(frame.name)}</h2><div class='masks'>{given}</div>{''.join(rows)}"


def _mask(mask: Mask) -> str:
    caption = f"<b>{escape(mask.label)}</b><br>{mask.bits_per_pixel:.3f} bpp, {mask.miou:.1%} over the split"
    return _figure(mask.path, caption)


def _figure(path: Path, caption: str) -> str:
    try:
        encoded = base64.b64encode(path.read_bytes()).decode()
    except OSError as error:
        raise RecordError(f"{path}: {error.strerror}; run `make bench-rate` again") from None
    source = f"data:{_TYPES[path.suffix]};base64,{encoded}"
    return f"<figure><img alt='' src='{source}'><figcaption>{caption}</figcaption></figure>"
