"""The figures of ``benchmarks/results/frontier.json`` in documents."""

from __future__ import annotations

from typing import Any

from benchmarks.markdown import table


def render(result: dict[str, Any]) -> str:
    """Rows within the bits that are compared, and what each budget should send."""
    rows = [
        [
            f"{row['budget_gmac']:g}",
            row["design"],
            row["way"],
            f"{row['camera_gmac']:.3f}",
            f"{row['camera_ms']:.1f}",
            f"{row['peak_mb']:.2f}",
            f"{row['bits_per_pixel']:.4f}",
            f"{row['cloud_gmac']:.2f}",
            f"{row['miou']:.1%}",
            str(len(row["seeds"])),
        ]
        for row in result["rows"]
        if row["bits_per_pixel"] <= result["bits_at_most"]
    ]
    head = [
        "budget, GMAC",
        "design",
        "way",
        "camera, GMAC",
        "ms",
        "peak, MB",
        "bits per pixel",
        "cloud, GMAC",
        "mIoU",
        "seeds",
    ]
    verdicts = [
        [budget, f"{m['points']:+.1f}", f"{m['interval'][0]:+.1f} to {m['interval'][1]:+.1f}", m["send"]]
        for budget, m in result["margins"].items()
    ]
    steps = f"{result['plan']['steps']:,} steps each, {result['frames']} frames of a drive that was not trained on."
    return "\n\n".join(
        [table(head, rows), table(["budget, GMAC", "features over mask, points", "95 %", "send"], verdicts), steps]
    )
