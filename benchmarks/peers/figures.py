"""The figures of ``benchmarks/results/peers.json`` in documents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.markdown import Row, load, table

HEAD = [
    "", "frames/s", "CPU ms a frame", "at 70 % of its own: CPU ms", "p50 ms", "p99 ms", "lines of code",
    "SIGKILL of a worker: lost, doubled", "longest wait, s",
]  # fmt: skip


def render(result: dict[str, Any]) -> str:
    """Both tables and what they are medians of."""
    parts = [
        "With the bundle's decoder (all processes but the harness count, the network's time too):",
        table(HEAD, rows(result["decoder"])),
        "With a model that costs next to nothing, so that what is around it shows:",
        table(HEAD[:7], [row[:7] for row in rows(result["near_free_model"])]),
        f"Medians of {result['rounds']} rounds of all in turn; {load(result)}.",
    ]
    return "\n\n".join(parts)


def rows(contenders: Sequence[dict[str, Any]]) -> list[Row]:
    """A row for each."""
    return [_row(each) for each in contenders]


def _row(each: dict[str, Any]) -> Row:
    killed = "killed_frames" in each
    return [
        each["name"],
        f"{each['frames_per_s']:,.0f}",
        f"{each['cpu_ms']:.2f}",
        f"{each['cpu_ms_at_load']:.2f}",
        f"{each['p50_ms']:.1f}",
        f"{each['p99_ms']:.1f}",
        f"{each['lines']}",
        f"{each['killed_lost']:.0f}, {each['killed_doubled']:.0f} of {each['killed_frames']:.0f}" if killed else "",
        f"{each['killed_longest_s']:.1f}" if killed else "",
    ]
