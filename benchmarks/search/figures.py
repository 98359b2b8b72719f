"""The figures of ``benchmarks/results/search.json`` in documents."""

from __future__ import annotations

from typing import Any

from benchmarks.markdown import table


def render(result: dict[str, Any]) -> str:
    """How each proxy orders, and the find beside the present encoder, scaled."""
    taus = [
        [name, f"{each['tau']:+.2f}", f"{each['interval'][0]:+.2f} to {each['interval'][1]:+.2f}"]
        for name, each in sorted(result["tau"].items(), key=lambda pair: -pair[1]["tau"])
    ]
    find = result["find"]
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
        f"{len(result['networks'])} networks of {result['steps']:,} steps each, judged on {result['frames']} frames "
        f"of a drive that none has seen; the search looked at {find['looked_at']} by {result['best_proxy']}: "
        f"{find['points']:+.1f} points ({low:+.1f} to {high:+.1f})."
    )
    head = ["network", "ms, whole", "MMAC", "mIoU"]
    return "\n\n".join([table(["proxy", "Kendall's tau", "95 %"], taus), table(head, rows), note])
