"""The figures of ``benchmarks/results/decoder.json`` in documents."""

from __future__ import annotations

from typing import Any

from benchmarks.markdown import table

LABELS = {
    "joint": "joint decoder",
    "separate_deeplabv3": "separate decoding, DeepLabv3",
    "picture_network": "the full network on a picture",
}
FORMS = ("_before", "", "_int8")
MASKS = {"masks": "sharing rows", "masks_int8": "int8 beside that"}


def render(result: dict[str, Any]) -> str:
    """Milliseconds in three forms, what they come to, and what the masks lost."""
    ms = result["cpu_ms"]
    rows = [
        [
            label,
            *(f"{ms[name + form]:.1f}" for form in FORMS),
            *(f"{ms[name + form] / ms[name + FORMS[0]]:.2f}" for form in FORMS[1:]),
        ]
        for name, label in LABELS.items()
    ]
    claims = [
        [f"`{name}`", *(form.format(result[f"{name}{which}"]) for which in (*FORMS, "_all_int8")), aim]
        for name, form, aim in (
            ("cloud_cpu_ratio", "{:.2f}", "at most 0.16"),
            ("streams_per_core", "{:.1f}x", "at least 14x"),
        )
    ]
    return "\n\n".join(
        [
            table(["graph", "ms as PyTorch writes it", "ms as exported", "ms in int8", "exported", "int8"], rows),
            table(["claim", "as PyTorch writes it", "as exported", "joint in int8", "all in int8", "aim"], claims),
            *(_masks(result[key], what) for key, what in MASKS.items() if key in result),
        ]
    )


def _masks(masks: dict[str, Any], what: str) -> str:
    lost = ", ".join(f"{points:.3f}" for points in masks["points_lost"])
    agreed = min(masks["agreement"])
    where = f"level by level ({masks['data']})"
    return f"Points of mIoU lost by {what}, {where}: {lost}; at least {agreed:.2%} of the pixels agree."
