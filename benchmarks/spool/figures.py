"""The figures of ``benchmarks/results/spool.json`` in documents."""

from __future__ import annotations

from typing import Any

from benchmarks.markdown import table


def render(result: dict[str, Any]) -> str:
    """The spool's segments and SQLite."""
    rows = [
        [
            title,
            f"{result[side]['bytes']:,}",
            f"{result[side]['us']:.0f}",
            f"{result[side]['lost']} / {result[side]['wrong']} ({result[side]['cuts']:,})",
            f"{result[side]['lines']}",
        ]
        for title, side in (("segments", "segments"), ("SQLite, WAL", "sqlite"))
    ]
    heads = [
        f"frames of {result['packet_bytes']} bytes in and out",
        "bytes written a frame",
        "µs a frame",
        "torn: whole frames lost / wrong (cuts)",
        "lines",
    ]
    return table(heads, rows)
