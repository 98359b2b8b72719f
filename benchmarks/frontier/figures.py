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
            "" if row["camera_ms"] is None else f"{row['camera_ms']:.1f}",
            "" if row["peak_mb"] is None else f"{row['peak_mb']:.2f}",
            f"{row['bits_per_pixel']:.4f}",
            f"{row['cloud_gmac']:.2f}",
            f"{row['miou']:.1%}",
            str(len(row["seeds"])),
        ]
        for row in _shown(result)
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
    over_pictures = result.get("over_pictures", {})
    verdicts = [
        [budget, *_apart(m), m["send"], *_over_pictures(over_pictures.get(budget, {}))]
        for budget, m in result["margins"].items()
    ]
    beside = ["budget, GMAC", "features over mask, points", "95 %", "send", "mask over picture, points", "95 %"]
    beside += ["mask over picture of its bits", "95 %"]
    steps = f"{result['plan']['steps']:,} steps each, {result['frames']} frames of a drive that was not trained on."
    return "\n\n".join([table(head, rows), table(beside, verdicts), steps])


def _shown(result: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows within the bits; of pictures those that no other makes better of as few bits."""
    rows = [row for row in result["rows"] if row["bits_per_pixel"] <= result["bits_at_most"]]
    pictures = [row for row in rows if row["design"] == "pictures"]
    worse = [row for row in pictures if any(_beats(each, row) for each in pictures)]
    return [row for row in rows if row not in worse]


def _beats(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return bool(one["bits_per_pixel"] <= other["bits_per_pixel"] and one["miou"] > other["miou"])


def _over_pictures(over: dict[str, Any]) -> list[str]:
    return [*_apart(over or None), *_apart(over.get("at_its_bits"))]


def _apart(apart: dict[str, Any] | None) -> list[str]:
    if apart is None:
        return ["", ""]
    low, high = apart["interval"]
    return [f"{apart['points']:+.1f}", f"{low:+.1f} to {high:+.1f}"]
