"""The figures of ``benchmarks/results/compress.json`` in documents."""

from __future__ import annotations

from typing import Any

from benchmarks.markdown import table


def render(result: dict[str, Any]) -> str:
    """A row for each way."""
    rows = [
        [
            each["name"],
            f"{each['miou']:.1%}",
            "" if each["float_miou"] is None else f"{each['float_miou']:.1%}",
            f"{each['bits_per_pixel']:.4f}",
            f"{each['encoder_mb']:.2f}",
            f"{each['encoder_gmac']:.2f}",
            f"{each['encoder_ms']:.1f}",
            "" if each["peak_mb"] is None else f"{each['peak_mb']:.2f}",
        ]
        for each in result["rows"]
    ]
    head = ["", "mIoU, int8", "mIoU, float encoder", "bits per pixel", "encoder, MB", "GMAC", "ms", "peak, MB"]
    note = f"{result['epochs']} epochs each, {result['frames']} frames, level {result['level']}. {result['four_bit']}."
    return "\n\n".join([table(head, rows), note])
