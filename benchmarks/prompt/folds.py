"""The networks that ``make bench-prompt`` judges, each without one fold of every data set: `make train-prompt`.

Five students of the present recipe learn from labels alone. To tell what a teacher is worth, one of them is trained
once more, as long, beside a larger network that was trained without the same fold:

    make train-prompt
    make train-prompt ARGS="--role teacher --only 0"
    make train-prompt ARGS="--role taught --only 0"

A training goes on after its last epoch, so this can be stopped and started at will.
"""

from __future__ import annotations

import argparse
import sys
from enum import StrEnum
from pathlib import Path

from benchmarks.resumable import resumable
from narrows.models.promptable.config import PromptableConfig, Source
from narrows.models.promptable.data import Layout
from narrows.models.promptable.data.folds import FOLDS
from narrows.models.promptable.train import train_promptable

DATA, RUNS = Path("../shared/data"), Path("runs/promptable")
PRETRAINED = "weights/efficientnet-lite0-57934424.pth"
COCO = ("coco_panoptic", "train2017")


class Role(StrEnum):
    """Who a network of a fold learns from, or that it is the one who is learnt from; its run folder is named so."""

    ALONE = "alone"
    TEACHER = "teacher"
    TAUGHT = "taught"

    @property
    def epochs(self) -> int:
        """Of a thousand crops. A teacher's crop costs seven times as much, and its trunk knows more from ImageNet."""
        return 20 if self is Role.TEACHER else 80


def sources(data: Path) -> tuple[Source, ...]:
    """What is trained on. COCO's things are what is judged, so they are drawn most often."""
    return (
        Source(Layout.COCO_PANOPTIC, data / COCO[0], COCO[1], 4.0),
        Source(Layout.REGIONS, data / "regions", "train", 3.0, parts=True),
        Source(Layout.POLYGONS, data / "car_parts", "trainingset", 1.0, parts=True),
        Source(Layout.MASKS, data / "magnetic_tile", "all", 0.3),
    )


def run_of(runs: Path, fold: int, role: Role = Role.ALONE) -> Path:
    """The run folder of a network."""
    return runs / f"{role}-{fold}"


def config_of(role: Role, fold: int, data: Path, runs: Path, epochs: int | None = None) -> PromptableConfig:
    """How a network of a fold is trained, for as long as its role wants it where ``epochs`` does not say."""
    return PromptableConfig(
        sources(data),
        fold=fold,
        pretrained=data / PRETRAINED,
        teacher=run_of(runs, fold, Role.TEACHER) if role is Role.TAUGHT else None,
        large=role is Role.TEACHER,
        epochs=epochs or role.epochs,
        views=1024,
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="make train-prompt", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the data sets and weights")
    parser.add_argument("--runs", type=Path, default=RUNS, help="a run folder for each network goes here")
    parser.add_argument("--role", type=Role, choices=list(Role), default=Role.ALONE, help="who learns from whom")
    parser.add_argument("--only", type=int, choices=range(FOLDS), help="train this fold alone")
    parser.add_argument("--epochs", type=int, help="in place of 80, or a teacher's 20: a table of shorter trainings")
    options = parser.parse_args()
    for fold in range(FOLDS):
        if options.only in {None, fold}:
            config = config_of(options.role, fold, options.data, options.runs, options.epochs)
            train_promptable(config, run_of(options.runs, fold, options.role), lambda line: print(line, flush=True))


if __name__ == "__main__":
    sys.exit(resumable("make train-prompt", main))
