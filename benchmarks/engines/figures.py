"""The figures of ``benchmarks/results/engines.json`` in documents."""

from __future__ import annotations

from typing import Any

from benchmarks.markdown import table


def render(result: dict[str, Any]) -> str:
    """A row a build, and by which parser."""
    head = ["graph", "for", "batches", "layers", "fused", "MB", "seconds"]
    return f"{table(head, [_row(build) for build in result['builds']])}\n\nParsed and built by {result['parser']}."


def _row(build: dict[str, Any]) -> list[str]:
    batches = f"{build['batches'][0]} to {build['batches'][-1]}"
    if "refused" in build:
        return [build["graph"], build["capability"], batches, f"refused: {build['refused']}", "", "", ""]
    size = f"{build['size_bytes'] / 1e6:.1f}"
    counts = [str(build["layers"]), str(build["fused_layers"])]
    return [build["graph"], build["capability"], batches, *counts, size, f"{build['seconds']:.1f}"]
