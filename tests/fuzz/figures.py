"""The figures of ``benchmarks/results/fuzz.json`` in documents."""

from __future__ import annotations

from typing import Any

from benchmarks.markdown import table


def render(result: dict[str, Any]) -> str:
    """Inputs of each target in its last run; nothing was found, or there would be no result."""
    rows = [
        [r["target"], f"{r['inputs']:,}", f"{r['edges']:,}", str(r["peak_rss_mb"]), r["date"]]
        for r in result["targets"]
    ]
    return table(["target", "inputs", "edges covered", "memory at most, MB", "last run"], rows)
