"""What the cells come to."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from benchmarks.robustness.cells import CLEAN, FEATURE_LEVELS

FINE = f"features_{FEATURE_LEVELS[0]}"
NOISE_STRENGTH = 3
UNLIKE_TRAINING = ("fog", "dirt", "turned")
"""Kinds that :mod:`narrows.models.training.bad_pictures` has nothing of; the others have a relative there."""
AIMS = {
    "kept_share": "at least 75 %",
    "worst_over_picture": "at least 0",
    "worst_bits_ratio": "at most 1.5",
}


def claims(cells: Sequence[dict[str, Any]]) -> dict[str, float]:
    """The share of clean mIoU that is kept on the mean, points over pictures and camera masks, and the bits' growth."""
    clean = next(cell for cell in cells if cell["kind"] == CLEAN)
    bad = [cell for cell in cells if cell["kind"] != CLEAN]
    middle = [cell for cell in bad if cell["strength"] == NOISE_STRENGTH]
    return {
        "kept_share": fmean(cell[FINE]["miou"] for cell in bad) / clean[FINE]["miou"],
        **_kept_unlike_training(bad, clean),
        "kept_share_camera_mask": fmean(cell["camera_mask"]["miou"] for cell in bad) / clean["camera_mask"]["miou"],
        "kept_share_picture": fmean(cell["picture"]["miou"] for cell in bad) / clean["picture"]["miou"],
        "worst_over_picture": min(_points(cell, "picture") for cell in bad),
        "mean_over_picture": fmean(_points(cell, "picture") for cell in bad),
        "mean_over_camera_mask": fmean(_points(cell, "camera_mask") for cell in bad),
        "worst_bits_ratio": max((_bits_ratio(cell, clean) for cell in middle), default=1.0),
    }


def _kept_unlike_training(bad: Sequence[dict[str, Any]], clean: dict[str, Any]) -> dict[str, float]:
    found = [cell[FINE]["miou"] for cell in bad if cell["kind"] in UNLIKE_TRAINING]
    return {"kept_share_unlike_training": fmean(found) / clean[FINE]["miou"]} if found else {}


def _points(cell: dict[str, Any], rival: str) -> float:
    """Points of mIoU over a rival."""
    return 100 * float(cell[FINE]["miou"] - cell[rival]["miou"])


def _bits_ratio(cell: dict[str, Any], clean: dict[str, Any]) -> float:
    return float(cell[FINE]["bits_per_pixel"] / clean[FINE]["bits_per_pixel"])
