"""Things that no network of theirs has seen, by prompt: float and int8, floors and GrabCut beside them; size and time.

Networks are those of ``make train-prompt``; of folds without one the floors alone are counted. ``--quick`` takes a few
pictures and, where there is no network, one that was hardly trained: it proves the machinery and nothing else.

Example: python -m benchmarks.prompt --data ../shared/data
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.prompt.folds import COCO, DATA, PRETRAINED, RUNS, run_of, sources
from benchmarks.prompt.windows import Overlaps, judge_windows, window_rows
from benchmarks.record import write_result
from narrows.models.export.cost import count_cost
from narrows.models.promptable.config import PromptableConfig
from narrows.models.promptable.data import AnnotatedPicture, Layout, in_fold, open_instances
from narrows.models.promptable.data.folds import FOLDS
from narrows.models.promptable.data.instances import read_all
from narrows.models.promptable.evaluation.evaluate import evaluate_prompts
from narrows.models.promptable.evaluation.grabcut import grab
from narrows.models.promptable.evaluation.scores import ThingScore, by_size, interval_by_picture, mean_of
from narrows.models.promptable.export import export_sensor
from narrows.models.promptable.export.plan import plan_sensor
from narrows.models.promptable.export.write import FLOAT, INT8
from narrows.models.promptable.prompts import PromptKind, draw_prompt
from narrows.models.promptable.run import load_trained
from narrows.models.promptable.train import train_promptable
from narrows.models.training.run import CHECKPOINT
from narrows.runtime.prompting.segmenter import PromptSegmenter

QUICK_PICTURES = 2
TIMED = 40
LEAST_EPOCHS = 10
"""Of 1,024 crops. A network of fewer has not learnt yet what its prompt means, and its figures would say nothing."""
NETWORKS = {"float": FLOAT, "int8": INT8}


@dataclass(frozen=True)
class Fold:
    """One fold's pictures, and what is exported of its network, if there is one; judged once it is trained."""

    number: int
    names: tuple[str, ...]
    sensor: Path | None = None
    epochs: int = 0
    judged: bool = False


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench-prompt", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the data sets and weights")
    parser.add_argument("--runs", type=Path, default=RUNS, help="folder of `make train-prompt`")
    parser.add_argument("--quick", action="store_true", help="a few pictures of one fold; proves the machinery")
    options = parser.parse_args()
    dataset = open_instances(options.data / COCO[0], Layout.COCO_PANOPTIC, COCO[1])
    folds = [_fold(number, dataset.names, options) for number in range(1 if options.quick else FOLDS)]
    scores: dict[str, dict[str, list[ThingScore]]] = defaultdict(lambda: defaultdict(list))
    by_window: dict[str, list[Overlaps]] = defaultdict(list)
    for fold in folds:
        pictures = list(read_all(dataset, fold.names))
        for kind in PromptKind:
            scores[kind.value]["floors"].extend(
                evaluate_prompts(pictures, kind, grabcut=grab if kind is PromptKind.BOX else None)
            )
            if fold.sensor is not None and fold.judged:
                for name, file in NETWORKS.items():
                    segment = PromptSegmenter.open(fold.sensor / file).segment
                    scores[kind.value][name].extend(evaluate_prompts(pictures, kind, segment))
        if fold.sensor is not None and fold.judged:
            for name, overlaps in judge_windows(pictures, PromptSegmenter.open(fold.sensor / FLOAT)).items():
                by_window[name].extend(overlaps)
        told = f"a network of {fold.epochs} epochs" if fold.sensor else "no network"
        print(f"fold {fold.number}: {len(fold.names)} pictures, {told}", flush=True)
    rows = [_row(kind, name, things) for kind, each in scores.items() for name, things in each.items()]
    for row in (*rows, *window_rows(by_window)):
        print(row)
    judged = [fold for fold in folds if fold.judged]
    exported = [fold.sensor for fold in folds if fold.sensor]
    figures = {
        "folds_judged": [fold.number for fold in judged],
        "epochs": [fold.epochs for fold in judged],
        "rows": rows,
        "by_size": {name: by_size(things) for name, things in scores[PromptKind.BOX.value].items()},
        "windows": window_rows(by_window),
        "network": _network(exported[0], dataset.read(folds[0].names[0])) if exported else None,
    }
    print(figures["network"] if options.quick else write_result("prompt", "make bench-prompt", figures))


def _fold(number: int, names: Sequence[str], options: argparse.Namespace) -> Fold:
    run = run_of(options.runs, number)
    if options.quick and not (run / CHECKPOINT).is_file():
        hardly = PromptableConfig(
            sources(options.data)[:1], fold=number, pretrained=options.data / PRETRAINED, epochs=1, views=64
        )
        train_promptable(hardly, run)
    held = in_fold(names, number)[: QUICK_PICTURES if options.quick else None]
    if not (run / CHECKPOINT).is_file():
        return Fold(number, held)
    sensor = run / "sensor"
    trained = load_trained(run)
    if not (sensor / INT8).is_file() or (sensor / INT8).stat().st_mtime < (run / CHECKPOINT).stat().st_mtime:
        export_sensor(trained, sources(options.data), sensor)
    return Fold(number, held, sensor, trained.epochs, options.quick or trained.epochs >= LEAST_EPOCHS)


def _row(kind: str, name: str, things: Sequence[ThingScore]) -> dict[str, Any]:
    low, high = interval_by_picture(things)
    fields = ("iou", "iou_crop", "boundary_f", "fill_box", "ellipse", "fill_box_crop", "ellipse_crop", "all_ones_96")
    return {
        "prompt": kind,
        "by": name,
        "instances": len(things),
        "low": low,
        "high": high,
        "grabcut": mean_of(things, "grabcut"),
        **{field: mean_of(things, field) for field in fields},
    }


def _network(sensor: Path, picture: AnnotatedPicture) -> dict[str, Any]:
    """What the network costs; milliseconds of processor time a prompt, crop and way back included."""
    cost, plan = count_cost(sensor / FLOAT), plan_sensor(sensor / INT8)
    timed = {}
    for name, file in NETWORKS.items():
        segmenter = PromptSegmenter.open(sensor / file)
        for kind in (PromptKind.BOX, PromptKind.POINT):
            prompts = [draw_prompt(thing, kind, picture.size) for thing in picture.instances]
            spent = []
            for turn in range(TIMED):
                began = time.process_time()
                segmenter.segment(picture.picture, prompts[turn % len(prompts)])
                spent.append(1000 * (time.process_time() - began))
            timed[f"{name}_{kind.value}_ms"] = round(median(spent), 2)
    return {
        "parameters": cost.parameters,
        "macs": cost.macs,
        "int8_file_bytes": (sensor / INT8).stat().st_size,
        "weight_bytes": plan.weight_bytes,
        "arena_bytes": plan.arena_bytes,
        "peak_bytes": plan.peak_bytes,
        "peak_step": plan.peak_step,
        "operators": plan.operators,
        **timed,
    }


if __name__ == "__main__":
    main()
