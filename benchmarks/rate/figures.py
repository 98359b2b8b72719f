"""The table of ``docs/rate.md``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.markdown import Row, ms, table
from benchmarks.rate.claims import VIDEOS, curve_of
from benchmarks.rate.curves import OVERLAP, Point

CLAIMS = {
    "cloud_parameter_ratio": ("{:.1%}", "at most 10 %"),
    "cloud_mac_ratio": ("{:.1%}", "at most 10 %"),
    "cloud_cpu_ratio": ("{:.1%}", "at most 16 %"),
    "streams_per_core": ("{:.1f}x a picture and the whole network", "at least 14x"),
    "worst_miou_margin": ("{:+.2f} points", "at least −0.5"),
    "mean_miou_margin": ("{:+.2f} points", "at least 0"),
    "worst_together_margin": ("{:+.2f} points", "at least −0.5"),
    "mean_together_margin": ("{:+.2f} points", "at least 0"),
    "equal_cost_margin": ("{:+.2f} points", "above 0"),
    "best_miou": ("{:.1%}", "at least 68 % at 0.08 bpp or less"),
    "miou_at_0_025_bpp": ("{:.1%}", "at least 64 %"),
    "bits_ratio_avif": ("{:.2f}", "at most 0.2"),
    "bits_ratio_jpeg": ("{:.2f}", "at most 0.1"),
    "bits_ratio_h264": ("{:.2f}", ""),
    "bits_ratio_h264_p": ("{:.2f}", ""),
    "bits_ratio_hevc": ("{:.2f}", ""),
    "bits_ratio_hevc_p": ("{:.2f}", ""),
    "bits_ratio_edge_mask": ("{:.2f}", ""),
}


def tables(result: Mapping[str, Any]) -> list[tuple[Row, list[Row]]]:
    """Heads and rows: the claims, the costs, the points."""
    methods = result["methods"].values()
    claims = [
        [f"`{name}`", _shown(result["claims"][name], form), aim]
        for name, (form, aim) in CLAIMS.items()
        if name in result["claims"]
    ]
    costs = [
        [
            row["label"],
            *_side(row["cloud"]),
            *_side(row["edge"]),
            ms(row["cloud"]["codec_cpu_ms"]),
            ms(row["edge"]["codec_cpu_ms"]),
        ]
        for row in methods
    ]
    points = [[row["label"], " · ".join(map(_point, curve_of(row)))] for row in methods]
    cost_head = ["method", "cloud M par.", "GMAC", "ms", "edge M par.", "GMAC", "ms", "decode ms", "encode ms"]
    return [
        (["claim", "measured", "aim"], claims),
        (cost_head, costs),
        (["method", "bits per pixel: mIoU"], points),
        (["method", "our bits at equal mIoU (BD-rate)", "over mIoU"], savings(result)),
    ]


def savings(result: Mapping[str, Any]) -> list[Row]:
    """Of the joint decoder end to end, beside every method whose curve shares a point of mIoU or more with it."""
    labels = {name: row["label"] for name, row in result["methods"].items()}
    alone, as_clip = result["bd_rate_of_end_to_end"], result.get("bd_rate_of_end_to_end_p", {})
    pairs = [(labels[name], saving) for name, saving in alone.items()]
    pairs += [(f"{labels[name]}, ours as P", as_clip[name]) for name in VIDEOS if name in as_clip]
    return [
        [label, f"{saving['percent']:+.0f} %", f"{saving['from_miou']:.1%} to {saving['to_miou']:.1%}"]
        for label, saving in pairs
        if saving is not None and saving["to_miou"] - saving["from_miou"] >= OVERLAP
    ]


def notes(result: Mapping[str, Any]) -> str:
    """What stands beside the tables."""
    resnet, small, plan = result["resnet50"], result["small_joint_decoder"], result["plan"]
    bounds = {name: ratio for name, ratio in result["bits_ratio_at_most"].items() if ratio is not None}
    bound = ", ".join(f"{name} {ratio:.3f}" for name, ratio in bounds.items()) or "none"
    worst = _shown(small["worst_miou_margin"], "{:+.2f} points")
    return (
        f"Without any codec ({result['uncompressed']['label']}): {result['uncompressed']['miou']:.1%}. "
        f"The small joint decoder has {small['cloud_parameter_ratio']:.2%} of separate decoding's parameters and "
        f"{small['cloud_mac_ratio']:.1%} of its MACs, worst margin {worst}. "
        f"Our cheapest level's bits over a rival's at that less 2 points, where ours is the more accurate (so the "
        f"ratio of bits is at most this): {bound}. "
        f"ResNet-50, counted and not trained: {resnet['cloud_parameter_ratio']:.1%} of the cloud parameters, "
        f"{resnet['cloud_mac_ratio']:.1%} of the MACs. Trained: {plan['head_steps']} steps a head and seed, "
        f"{plan['codec_steps']} further for a codec's pictures, "
        f"batches of {plan['batch']}, {len(plan['seeds'])} seeds."
    )


def _shown(value: float | None, form: str) -> str:
    return "no overlap" if value is None else form.format(value)


def _side(side: Mapping[str, Any]) -> Row:
    return [f"{side['parameters'] / 1e6:.3f}", f"{side['macs'] / 1e9:.3f}", f"{side['cpu_ms']:.1f}"]


def _point(point: Point) -> str:
    return f"{point.bits_per_pixel:.3f}: {point.miou:.1%}"


def render(result: dict[str, Any]) -> str:
    """Joint decoding beside what it replaces: claims, costs, curves."""
    shown = [table(head, rows) for head, rows in tables(result)]
    return "\n\n".join([*shown, notes(result)])
