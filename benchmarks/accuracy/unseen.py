"""Drives that their network has not seen, and how such figures are kept: one of each beginning.

Trainings of another beginning (ImageNet's weights, or a run on road pictures) are another recipe. A result keeps what
it had of others beside what is judged now, so that both can be read together; folds need not stand for that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from benchmarks.accuracy.drives import EPOCHS, FULL_EPOCHS, Drive, drives_of
from benchmarks.unseen import check_unseen
from narrows.contract.bundle import Bundle, is_bundle
from narrows.models.evaluation.evaluate import evaluate_bundle
from narrows.models.evaluation.score import Evaluation
from narrows.models.training.config import TrainingConfig
from narrows.models.training.origin import Origin
from narrows.ops.camera_packets import camera

TARGET_BITS_PER_PIXEL = 0.04
"""The rate at which recipes are compared."""
NEWEST, OTHERS = "unseen_drives", "unseen_drives_of_other_beginnings"

Found = dict[str, Any]
"""What the networks of one recipe did: their mean, spread, and a row for each drive."""


def trained(data: Path, folds: Path) -> list[Drive]:
    """The drives of the data, if each has a network.

    Raises:
        ConfigError: one of them has seen its drive, or may have.
    """
    drives = drives_of(data)
    missing = [drive.name for drive in drives if not is_bundle(folds / drive.name / "bundle")]
    if missing:
        print(f"{folds} has no bundle that was made without {', '.join(missing)}: run `make train-drives` first")
        return []
    for drive in drives:
        check_unseen(folds / drive.name, [name for part in drive.parts for name in part.names])
    return drives


def judge_unseen(drives: Sequence[Drive], folds: Path) -> Found:
    """Every drive, by the bundle of the run folder that was made without it."""
    rows = [judge_drive(drive, folds / drive.name) for drive in drives]
    return {
        "bits_per_pixel": TARGET_BITS_PER_PIXEL,
        "recipe_epochs": EPOCHS + FULL_EPOCHS,
        "mean_miou": fmean(row["miou"] for row in rows),
        "lowest_miou": min(row["miou"] for row in rows),
        "highest_miou": max(row["miou"] for row in rows),
        "drives": rows,
    }


def judge_drive(drive: Drive, folder: Path) -> dict[str, Any]:
    """A drive by a bundle of the run folder, made without it, at every level and at the rate of comparison."""
    bundle = Bundle.open(folder / "bundle")
    config = TrainingConfig.read(folder / "config.json")
    levels = [
        evaluate_bundle(bundle, drive, level, encode=camera(bundle, level, bundle.encoder_path))
        for level in range(len(bundle.manifest.levels))
    ]
    found = at_rate(levels, TARGET_BITS_PER_PIXEL)
    print(f"{drive.name}, never seen, {len(drive)} frames: {found:.2%} mIoU at {TARGET_BITS_PER_PIXEL} bits per pixel")
    return {
        "drive": drive.name,
        "frames": len(drive),
        "begun_from": Origin.read(folder).begun_from,
        "epochs": [phase.epochs for phase in config.phases],
        "miou": round(found, 5),
        "levels": [asdict(each) for each in levels],
    }


def at_rate(levels: Sequence[Evaluation], bits_per_pixel: float) -> float:
    """MIoU at a rate, on the straight line between the two levels around it; that of the nearest level beyond all."""
    points = sorted((each.bits_per_pixel, each.miou) for each in levels)
    rates, scores = np.array(points).T
    return float(np.interp(bits_per_pixel, rates, scores))


def beside_others(found: Found | None, former: Mapping[str, Any]) -> dict[str, Any]:
    """What a result says of drives not seen: what was found now, and what the ``former`` one had of other beginnings.

    Without anything found now, what the former one said stands.
    """
    kept = [each for each in (former.get(NEWEST), *former.get(OTHERS, [])) if each is not None]
    if found is None:
        newest, *others = kept or [None]
    else:
        newest, others = found, [each for each in kept if begun_from(each) != begun_from(found)]
    return ({} if newest is None else {NEWEST: newest}) | ({OTHERS: others} if others else {})


def begun_from(found: Mapping[str, Any]) -> list[str | None]:
    """Where the networks of a recipe began; ``None`` stands for ImageNet's weights."""
    return sorted({row.get("begun_from") for row in found["drives"]}, key=str)
