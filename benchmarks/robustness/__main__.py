"""Bad pictures by kind and strength: features beside pictures of as many bits and masks made at the camera.

Judged on drives that the network has not seen, where ``make train-drives`` has trained such networks; else on the
validation split, and said so.

Example: python -m benchmarks.robustness --data ../shared/data/camvid --frames 33
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from benchmarks.accuracy.unseen import trained
from benchmarks.record import write_result
from benchmarks.resumable import named
from benchmarks.robustness.cells import FEATURE_LEVELS, Judged, cells
from benchmarks.robustness.claims import AIMS, claims
from benchmarks.robustness.contenders import Judge
from benchmarks.robustness.corruptions import KINDS, STRENGTHS
from narrows.contract.bundle import Bundle
from narrows.models.dataset import FolderDataset, LabelledPicture

QUICK_FRAMES, QUICK_STRENGTHS = 3, (1, 5)


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench-robustness", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data/camvid"), help="labelled folder")
    parser.add_argument("--bundle", type=Path, default=Path("bundles/demo"))
    parser.add_argument("--folds", type=Path, default=Path("runs/drives"), help="folder of `make train-drives`")
    parser.add_argument("--frames", type=int, default=25, help="of each drive, evenly chosen")
    parser.add_argument("--kinds", nargs="+", choices=tuple(KINDS), default=tuple(KINDS), help="of some: no result")
    parser.add_argument("--quick", action="store_true", help="a few frames, two strengths, no result: does it run?")
    options = parser.parse_args()
    strengths = QUICK_STRENGTHS if options.quick else STRENGTHS
    judged = _judged(options, QUICK_FRAMES if options.quick else options.frames)
    rows: list[dict[str, Any]] = []
    names = [f"features_{level}" for level in FEATURE_LEVELS] + ["camera_mask", "picture"]
    print(f"judged on {', '.join(each.name for each in judged)}")
    print(f"{'kind':>12} {'strength':>8} " + " ".join(f"{name + ', bpp':>24}" for name in names))
    for cell in cells(judged, options.kinds, strengths):
        rows.append(cell)
        shown = " ".join(f"{cell[name]['miou']:>14.2%}, {cell[name]['bits_per_pixel']:.4f} " for name in names)
        print(f"{cell['kind']:>12} {cell['strength']:>8} {shown}", flush=True)
    found = {name: round(value, 4) for name, value in claims(rows).items()}
    for name, value in found.items():
        print(f"{name}: {value:.3f}" + (f"  (aim: {AIMS[name]})" if name in AIMS else ""))
    if not options.quick and set(options.kinds) == set(KINDS):
        command = f"make bench-robustness  # {options.data.name}, {sum(len(each.samples) for each in judged)} frames"
        figures = {"judged_on": [each.name for each in judged], "cells": rows, "claims": found}
        print(write_result("robustness", command, figures))


def _judged(options: argparse.Namespace, frames: int) -> list[Judged]:
    """Each drive by the network that has not seen it; the validation split by the shipped one if there is none."""
    if drives := trained(options.data, options.folds):
        return [
            Judged(
                f"{drive.name}, never seen",
                Judge(Bundle.open(options.folds / drive.name / "bundle")),
                drive.classes,
                _some(list(drive), frames),
            )
            for drive in drives
        ]
    print("the validation split it is")
    data = FolderDataset.open(options.data, "val")
    samples = _some(list(data), frames)
    return [Judged("val, of a drive that training saw", Judge(Bundle.open(options.bundle)), data.classes, samples)]


def _some(samples: list[LabelledPicture], frames: int) -> tuple[LabelledPicture, ...]:
    return tuple(samples[:: max(1, len(samples) // frames)][:frames])


if __name__ == "__main__":
    sys.exit(named("make bench-robustness", main))
