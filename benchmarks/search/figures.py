"""The figures of ``benchmarks/results/search.json`` in documents."""

from __future__ import annotations

from typing import Any

from benchmarks.markdown import table


def render(result: dict[str, Any]) -> str:
    """How each proxy orders, and the find beside the present encoder, scaled."""
    find = result["find"]
    taus = [
        [name, _with_interval(each), f"{find['held_miou'][name]:.1%}{', chosen' if name == find['chosen'] else ''}"]
        for name, each in sorted(result["tau"].items(), key=lambda pair: -pair[1]["tau"])
    ]
    rows = [
        [
            name,
            f"{find[key]['whole_ms']:.2f}",
            f"{find[key]['macs'] / 1e6:.0f}",
            f"{find[key]['miou']:.1%}",
        ]
        for name, key in (("found", "found"), ("present encoder, scaled", "scaled"))
    ]
    low, high = find["interval"]
    note = (
        f"{len(result['networks'])} networks drawn by chance, and each proxy's find among {find['looked_at']}, had "
        f"{result['steps']:,} steps each. Tau and the last table are of {result['frames']} frames of a drive that none "
        f"has seen; finds are chosen on {result['held_frames']} frames of the drives that were trained on: "
        f"{find['points']:+.1f} points ({low:+.1f} to {high:+.1f})."
    )
    head = ["network", "ms, whole", "MMAC", "mIoU"]
    return "\n\n".join(
        [table(["proxy", "Kendall's tau (95 %)", "its find, mIoU on drives trained on"], taus), table(head, rows), note]
    )


def _with_interval(tau: dict[str, Any]) -> str:
    low, high = tau["interval"]
    return f"{tau['tau']:+.2f} ({low:+.2f} to {high:+.2f})"
