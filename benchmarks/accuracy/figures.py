"""The figures of ``benchmarks/results/accuracy.json`` in documents."""

from __future__ import annotations

from typing import Any

from benchmarks.markdown import table


def render(result: dict[str, Any]) -> str:
    """Rate and accuracy by level, int8 beside float at either end."""
    exact = {row["level"]: row for row in result["levels"] if row["encoder"] == "float"}
    rough = {row["level"]: row for row in result.get("int8_decoder", [])}
    rows = [
        [
            str(row["level"]),
            f"{row['packet_bytes']:,}",
            f"{row['bits_per_pixel']:.3f}",
            f"{row['miou']:.1%}",
            f"{exact[row['level']]['miou']:.1%}" if row["level"] in exact else "",
            f"{rough[row['level']]['miou']:.1%}" if row["level"] in rough else "",
        ]
        for row in result["levels"]
        if row["encoder"] == "int8"
    ]
    features = table(
        ["level", "packet, bytes", "bits per pixel", "mIoU", "mIoU, float encoder", "mIoU, int8 decoder"], rows
    )
    return "\n\n".join([features, *_camera_masks(result.get("camera_masks", []))])


def _camera_masks(found: list[dict[str, Any]]) -> list[str]:
    rows = [[f"1/{row['divisor']}", f"{row['bits_per_pixel']:.4f}", f"{row['miou']:.1%}"] for row in found]
    return [table(["mask made at the camera, size", "bits per pixel", "mIoU"], rows)] if rows else []
