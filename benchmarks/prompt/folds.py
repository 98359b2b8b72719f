"""Five networks of the present recipe, each without one fold of every data set: what ``make bench-prompt`` judges.

A fold goes on after its last epoch, so this can be stopped and started at will.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from narrows.models.promptable.config import PromptableConfig, Source
from narrows.models.promptable.data import Layout
from narrows.models.promptable.data.folds import FOLDS
from narrows.models.promptable.train import train_promptable

DATA, RUNS = Path("../shared/data"), Path("runs/promptable")
PRETRAINED = "weights/efficientnet-lite0-57934424.pth"
COCO = ("coco_panoptic", "train2017")


def sources(data: Path) -> tuple[Source, ...]:
    """What is trained on. COCO's things are what is judged, so they are drawn most often."""
    return (
        Source(Layout.COCO_PANOPTIC, data / COCO[0], COCO[1], 4.0),
        Source(Layout.REGIONS, data / "regions", "train", 3.0, parts=True),
        Source(Layout.POLYGONS, data / "car_parts", "trainingset", 1.0, parts=True),
        Source(Layout.MASKS, data / "magnetic_tile", "all", 0.3),
    )


def run_of(runs: Path, fold: int) -> Path:
    """The run folder of a fold."""
    return runs / f"fold-{fold}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="make train-prompt", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the data sets and weights")
    parser.add_argument("--runs", type=Path, default=RUNS, help="a run folder for each fold goes here")
    parser.add_argument("--only", type=int, help="train this fold alone")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--views", type=int, default=1024)
    parser.add_argument("--threads", type=int, default=1, help="beside other work one is fastest")
    options = parser.parse_args()
    for fold in range(FOLDS):
        if options.only in {None, fold}:
            config = PromptableConfig(
                sources(options.data),
                fold=fold,
                pretrained=options.data / PRETRAINED,
                epochs=options.epochs,
                views=options.views,
                threads=options.threads,
            )
            train_promptable(config, run_of(options.runs, fold), lambda line: print(line, flush=True))


if __name__ == "__main__":
    main()
