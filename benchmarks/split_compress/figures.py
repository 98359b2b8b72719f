"""The figures of ``benchmarks/results/split-compress.json`` in documents."""

from __future__ import annotations

from typing import Any

from benchmarks.markdown import table


def render(result: dict[str, Any]) -> str:
    """A row for each design of each network."""
    heads = [
        "network, measure", "design", "crosses", "bytes", "points lost (95 %)", "positives", "M MACs at the camera",
        "ms there",
    ]  # fmt: skip
    return table(heads, [_row(network, each) for network in result["networks"] for each in network["designs"]])


def _row(network: dict[str, Any], design: dict[str, Any]) -> list[str]:
    low, high = design["interval"]
    name = design["design"]
    trained = "" if name == "unmodified" else f", {network['steps']} steps of {network['batch']} pictures"
    return [
        f"{network['name']}: {network['measure']}",
        f"{name}{trained}",
        f"{', '.join(each.split(' ')[1] for each in design['tensors'])} in {design['bits']} bits, by {design['steps']}",
        f"{design['bytes']:,.0f}",
        f"{design['lost_points']:.2f} ({low:.2f} to {high:.2f})",
        f"{design['positives']:,} {network['positives_are']}",
        f"{design['head_macs'] / 1e6:,.0f}",
        f"{design['head_ms']:.1f}",
    ]
