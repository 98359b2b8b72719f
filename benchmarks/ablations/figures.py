"""The table of ablations in ``docs/rate.md``."""

from __future__ import annotations

from typing import Any

from benchmarks.ablations.ideas import PLAIN
from benchmarks.markdown import Row, table

_HEAD = ["alone", "level 0", "level 2", "level 4", "bad pictures, level 2", "bits at level 2", "of bad pictures"]
_MIOU = ("miou0", "miou2", "miou4", "bad_miou2")


def render(result: dict[str, Any]) -> str:
    """MIoU of each idea in points beside the plain run, bits per pixel, and what has not been run."""
    rows = {row["idea"]: row for row in result["ideas"]}
    plain = rows.get(PLAIN)
    shown = table(_HEAD, [_row(row, plain) for row in rows.values()])
    return "\n\n".join([shown, *([f"Not run: {', '.join(result['not_run'])}."] if result["not_run"] else [])])


def _row(row: dict[str, Any], plain: dict[str, Any] | None) -> Row:
    mious = [f"{row[key]:.1%}{_beside(row[key], key, plain)}" for key in _MIOU]
    return [row["told"], *mious, *(f"{row[key]:.4f}" for key in ("checked_bpp2", "bad_checked_bpp2"))]


def _beside(value: float, key: str, plain: dict[str, Any] | None) -> str:
    return "" if plain is None or plain[key] == value else f" ({100 * (value - plain[key]):+.1f})"
