"""The figures of ``benchmarks/results/fuzz.json`` in documents."""

from __future__ import annotations

from typing import Any

from benchmarks.markdown import table


def render(result: dict[str, Any]) -> str:
    """Inputs of each target; nothing was found, or there would be no result."""
    rows = [[r["target"], f"{r['inputs']:,}", f"{r['edges']:,}", str(r["peak_rss_mb"])] for r in result["targets"]]
    rows.append(["all", f"{result['inputs']:,}", "", ""])
    return table(["target", "inputs", "edges covered", "memory at most, MB"], rows)
