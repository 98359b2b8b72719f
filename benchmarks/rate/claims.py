"""What the claims come to: margins in points of mIoU, mIoU as a share, ``None`` where a curve does not reach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.rate.curves import Curve, Point, bd_rate, bits_at, by_rate, common_rates, envelope, margins, miou_at

RATES = 5
BUDGET_BITS_PER_PIXEL = 0.08
LOW_BITS_PER_PIXEL = 0.025
BELOW_UNCOMPRESSED = 0.02
SEPARATE = "separate_deeplabv3plus"
"""What the joint decoder's cost and accuracy are compared with."""
EQUAL_COST = ("separate_lraspp", "separate_context")
"""Separate decoding of as many multiply-accumulates: the best of them counts."""
VIDEOS = ("h264", "hevc")
RIVALS = ("jpeg", "webp", "avif", *VIDEOS, "mask_at_edge")
"""What is compared by its bits, where our accuracy is."""
Methods = Mapping[str, dict[str, Any]]


def curve_of(method: Mapping[str, Any]) -> Curve:
    """A method's points (seed means), ascending in rate; of a codec's settings and tunings the best."""
    points = [Point(point["bits_per_pixel"], point["miou"]) for point in method["points"]]
    return envelope(points) if "quality" in method["points"][0] else by_rate(points)


def claims_of(methods: Methods, uncompressed_miou: float) -> dict[str, Any]:
    """All of them, from the methods' points and costs."""
    joint, separate = (methods[name]["cloud"] for name in ("joint", SEPARATE))
    against, together = _margins(methods, "joint", SEPARATE), _margins(methods, "joint_together", "separate_together")
    equal = [mean for name in EQUAL_COST if (mean := _mean(_margins(methods, "joint", name))) is not None]
    ours = curve_of(methods["end_to_end"])
    target = uncompressed_miou - BELOW_UNCOMPRESSED
    within = [point.miou for point in ours if point.bits_per_pixel <= BUDGET_BITS_PER_PIXEL]
    return {
        "cloud_parameter_ratio": joint["parameters"] / separate["parameters"],
        "cloud_mac_ratio": joint["macs"] / separate["macs"],
        "cloud_cpu_ratio": joint["cpu_ms"] / separate["cpu_ms"],
        "streams_per_core": _cloud_ms(methods["jpeg"]) / _cloud_ms(methods["joint"]),
        "worst_miou_margin": min(against, default=None),
        "mean_miou_margin": _mean(against),
        "worst_together_margin": min(together, default=None),
        "mean_together_margin": _mean(together),
        "equal_cost_margin": min(equal, default=None),
        "best_miou": max(within, default=None),
        "miou_at_0_025_bpp": miou_at(ours, LOW_BITS_PER_PIXEL),
        "bits_ratio_at_miou": target,
        "bits_ratio_avif": _bits_ratio(ours, curve_of(methods["avif"]), target),
        "bits_ratio_jpeg": _bits_ratio(ours, curve_of(methods["jpeg"]), target),
        "bits_ratio_edge_mask": _bits_ratio(ours, curve_of(methods["mask_at_edge"]), target),
        **_video_ratios(methods, target),
    }


def _video_ratios(methods: Methods, target: float) -> dict[str, float | None]:
    """Beside each video, whose frames are predicted: features frame by frame, and as P packets."""
    ours = {suffix: curve_of(methods[f"end_to_end{suffix}"]) for suffix in ("", "_p")}
    return {
        f"bits_ratio_{name}{suffix}": _bits_ratio(curve, curve_of(methods[name]), target)
        for name in VIDEOS
        for suffix, curve in ours.items()
    }


def bounds_of(methods: Methods, target: float) -> dict[str, float | None]:
    """The ratio of bits is at most this, where even our cheapest level is above the target and has no bits at it."""
    cheapest = curve_of(methods["end_to_end"])[0]
    bounds: dict[str, float | None] = {}
    for name in RIVALS:
        theirs = bits_at(envelope(curve_of(methods[name])), target)
        bounds[name] = None if theirs is None or cheapest.miou < target else cheapest.bits_per_pixel / theirs
    return bounds


def small_claims_of(methods: Methods) -> dict[str, Any]:
    """The small joint decoder's, by the same rules."""
    small, separate = (methods[name]["cloud"] for name in ("small", SEPARATE))
    against = _margins(methods, "small", SEPARATE)
    return {
        "cloud_parameter_ratio": small["parameters"] / separate["parameters"],
        "cloud_mac_ratio": small["macs"] / separate["macs"],
        "worst_miou_margin": min(against, default=None),
        "mean_miou_margin": _mean(against),
    }


def savings_of(methods: Methods, ours: str) -> dict[str, Any]:
    """BD-rate of one method against every other that has a curve, over the overlap only."""
    mine = curve_of(methods[ours])
    found = {name: bd_rate(mine, curve_of(method)) for name, method in methods.items() if name != ours}
    return {name: None if saving is None else vars(saving) for name, saving in found.items()}


def _cloud_ms(method: Mapping[str, Any]) -> float:
    """Processor time of one frame in the cloud, decoding what arrives included."""
    return float(method["cloud"]["cpu_ms"] + (method["cloud"]["codec_cpu_ms"] or 0))


def _margins(methods: Methods, ours: str, theirs: str) -> list[float]:
    pair = (curve_of(methods[ours]), curve_of(methods[theirs]))
    return margins(*pair, common_rates(pair, RATES))


def _bits_ratio(ours: Curve, theirs: Curve, miou: float) -> float | None:
    mine, other = (bits_at(envelope(curve), miou) for curve in (ours, theirs))
    return None if mine is None or other is None else mine / other


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
