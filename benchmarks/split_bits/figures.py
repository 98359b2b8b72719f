"""The figures of ``benchmarks/results/split-bits.json`` in documents."""

from __future__ import annotations

from typing import Any

from benchmarks.markdown import table


def render(result: dict[str, Any]) -> str:
    """A row for each network: the best design at a cut with a fifth of the MACs on each side, and the best anywhere."""
    heads = [
        "network, measure", "MACs at the camera", "bits", "bytes", "× fewer than float", "× fewer than the best coder",
        "points lost (95 %)", "positives", "best at any cut", "smallest picture codec",
    ]  # fmt: skip
    return table(heads, [_row(each) for each in result["networks"]])


def _row(network: dict[str, Any]) -> list[str]:
    title = f"{network['name']}: {network['measure']}, on {network['share_of_pictures']:.0%} of the pictures"
    found, best, codec = network["at_one_point"], network["best"], network["picture_codec"]
    if found is None:
        return [title, *["none holds"] * 7, _best(best), _codec(codec)]
    low, high = found["interval"]
    return [
        title,
        f"{found['head_macs_share']:.0%}",
        f"{found['bits']}, by {found['steps']}",
        f"{found['bytes']:,.0f}",
        f"{found['ratio']:.1f}",
        f"{found['over_best_coder']:.2f} ({found['best_rival']})",
        f"{found['lost_points']:.2f} ({low:.2f} to {high:.2f})",
        f"{found['positives']:,} {network['positives_are']}",
        _best(best),
        _codec(codec),
    ]


def _best(found: dict[str, Any] | None) -> str:
    if found is None:
        return "none holds"
    return f"{found['ratio']:.1f} at {found['head_macs_share']:.0%} of the MACs, {found['lost_points']:.2f} points"


def _codec(found: dict[str, Any]) -> str:
    return f"{found['codec']}: {found['bytes']:,.0f} bytes" if found else "none holds"
