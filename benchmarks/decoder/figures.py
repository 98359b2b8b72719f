"""The figures of ``benchmarks/results/decoder.json`` in documents."""

from __future__ import annotations

from typing import Any

from benchmarks.markdown import table

LABELS = {
    "joint": "joint decoder",
    "separate_deeplabv3": "separate decoding, DeepLabv3",
    "picture_network": "the full network on a picture",
}


def render(result: dict[str, Any]) -> str:
    """Milliseconds before and after, what they come to, and what the masks lost."""
    ms = result["cpu_ms"]
    rows = [
        [label, f"{ms[f'{name}_before']:.1f}", f"{ms[name]:.1f}", f"{ms[name] / ms[f'{name}_before']:.2f}"]
        for name, label in LABELS.items()
    ]
    rows.append(["joint decoder in int8, as cameras run it", "", f"{ms['joint_int8']:.1f}", ""])
    claims = [
        [f"`{name}`", *(form.format(result[f"{name}{which}"]) for which in ("_before", "", "_int8")), aim]
        for name, form, aim in (
            ("cloud_cpu_ratio", "{:.2f}", "at most 0.16"),
            ("streams_per_core", "{:.1f}x", "at least 14x"),
        )
    ]
    return "\n\n".join(
        [
            table(["graph", "ms as PyTorch writes it", "ms as exported", "ratio"], rows),
            table(["claim", "as PyTorch writes it", "as exported", "in int8", "aim"], claims),
            *([_masks(result["masks"])] if "masks" in result else []),
        ]
    )


def _masks(masks: dict[str, Any]) -> str:
    lost = ", ".join(f"{points:.3f}" for points in masks["points_lost"])
    agreed = min(masks["agreement"])
    return f"Points of mIoU lost by level ({masks['data']}): {lost}; at least {agreed:.2%} of the pixels agree."
