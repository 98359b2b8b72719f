"""The figures of ``benchmarks/results/accuracy.json`` in documents."""

from __future__ import annotations

from statistics import fmean
from typing import Any

from benchmarks.markdown import table
from benchmarks.rate.curves import OVERLAP, Curve, Point, bd_rate, by_rate

_COMPARED = 1
"""The level that lies nearest to the rate of comparison."""


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
    sent = [row for row in result["levels"] if row["encoder"] == "int8"]
    masks = result.get("camera_masks", [])
    return "\n\n".join(
        [
            *_unseen(result.get("unseen_drives"), result.get("unseen_drives_of_other_beginnings", [])),
            "The shipped bundle on the split `val`, a clip of a drive of which it saw other minutes:",
            features,
            *_camera_masks(masks),
            *_bits_beside(curve_of(sent), curve_of(masks)),
        ]
    )


def _unseen(found: dict[str, Any] | None, others: list[dict[str, Any]]) -> list[str]:
    """The harder figure first: what the recipe does on a drive that it has never seen."""
    if found is None:
        return []
    drives, whole = found["drives"], found["recipe_epochs"]
    low, high = (f"{found[name]:.1%}" for name in ("lowest_miou", "highest_miou"))
    shortest = min(sum(each["epochs"]) for each in drives)
    short = f", where the recipe has {whole}: a floor, not what it can do" if shortest < whole else ""
    told = (
        f"On drives that training has not seen: **{found['mean_miou']:.1%} mIoU** at {found['bits_per_pixel']:g} bits "
        f"per pixel, {low} to {high}. Each drive is judged by a network of the recipe that was trained on the others "
        f"alone, for {_epochs(drives)} epochs{_learnt_before(drives)}{short}. The shipped bundle saw all drives."
    )
    recipes = [found, *others]
    head = ["drive left out", "frames", "mIoU", *(_recipe(other) for other in others)]
    rows = [
        [each["drive"], str(each["frames"]), *(_of_drive(each["drive"], one) for one in recipes)] for each in drives
    ]
    alike = [one for one in recipes if _names(one) == _names(found)]
    mean = ["mean", "", *(f"{one['mean_miou']:.1%}" if one in alike else "" for one in recipes)]
    return [told, table(head, [*rows, mean]), *_by_class(alike)]


def _names(found: dict[str, Any]) -> set[str]:
    """Of the drives: means over others say nothing beside each other."""
    return {each["drive"] for each in found["drives"]}


def _epochs(drives: list[dict[str, Any]]) -> str:
    lengths = sorted({sum(each["epochs"]) for each in drives})
    return " to ".join(map(str, lengths[:: max(1, len(lengths) - 1)]))


def _learnt_before(drives: list[dict[str, Any]]) -> str:
    begun = " and ".join(sorted({each["begun_from"] for each in drives if each.get("begun_from")}))
    return f" after what it learnt before ({begun})" if begun else ""


def _recipe(found: dict[str, Any]) -> str:
    begun = sorted({each.get("begun_from") or "ImageNet" for each in found["drives"]})
    return f"from {' and '.join(begun)}, {_epochs(found['drives'])} epochs"


def _of_drive(name: str, found: dict[str, Any]) -> str:
    return next((f"{each['miou']:.1%}" for each in found["drives"] if each["drive"] == name), "")


def _by_class(recipes: list[dict[str, Any]]) -> list[str]:
    """IoU of each class, the mean over drives, at the level of the comparison; in brackets the other recipes'."""
    found, *others = [_classes(each) for each in recipes]
    told = [
        f"{name.replace('_', ' ')} {iou:.1%}" + "".join(f" ({other[name]:.1%})" for other in others if name in other)
        for name, iou in found.items()
    ]
    return [f"By class, at level {_COMPARED}, the mean over drives: {', '.join(told)}."] if told else []


def _classes(found: dict[str, Any]) -> dict[str, float]:
    levels = [level for each in found["drives"] for level in each["levels"] if level["level"] == _COMPARED]
    names = dict.fromkeys(name for level in levels for name in level["per_class_iou"])
    by_name = {name: [each["per_class_iou"].get(name) for each in levels] for name in names}
    return {name: fmean(kept) for name, ious in by_name.items() if (kept := [iou for iou in ious if iou is not None])}


def curve_of(points: list[dict[str, Any]]) -> Curve:
    """Points of a result, by rate."""
    return by_rate([Point(point["bits_per_pixel"], point["miou"]) for point in points])


def _bits_beside(features: Curve, masks: Curve) -> list[str]:
    saving = bd_rate(features, masks) if masks else None
    if saving is None or saving.to_miou - saving.from_miou < OVERLAP:
        return []
    times = 1 + saving.percent / 100
    shared = f"{saving.from_miou:.1%} to {saving.to_miou:.1%}"
    return [f"At equal accuracy, {shared}, features need {times:.1f} times the bits of masks (BD-rate)."]


def _camera_masks(found: list[dict[str, Any]]) -> list[str]:
    rows = [[f"1/{row['divisor']}", f"{row['bits_per_pixel']:.4f}", f"{row['miou']:.1%}"] for row in found]
    return [table(["mask made at the camera, size", "bits per pixel", "mIoU"], rows)] if rows else []
