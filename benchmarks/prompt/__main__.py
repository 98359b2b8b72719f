"""Things that no network of theirs has seen, by prompt: float and int8, floors, GrabCut and teacher beside; size, time.

Networks are those of ``make train-prompt``, at the end of their training; of folds without one the floors alone are
counted. Where a fold has a student that was taught, too, the table says what the teacher was worth. ``--quick`` takes a
few pictures and a network that was hardly trained, in a folder of its own: it proves the machinery and nothing else.

Example: python -m benchmarks.prompt --data ../shared/data
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from benchmarks.prompt.costs import cost_of
from benchmarks.prompt.folds import COCO, DATA, RUNS, Role, config_of, run_of
from benchmarks.prompt.networks import FLOAT_ALONE, Network, networks_of
from benchmarks.prompt.windows import Overlaps, judge_windows, window_rows
from benchmarks.record import write_result
from benchmarks.resumable import resumable
from narrows.models.promptable.data import AnnotatedPicture, Layout, in_fold, open_instances
from narrows.models.promptable.data.folds import FOLDS
from narrows.models.promptable.data.instances import read_all
from narrows.models.promptable.evaluation.evaluate import evaluate_prompts
from narrows.models.promptable.evaluation.grabcut import grab
from narrows.models.promptable.evaluation.scores import (
    ThingScore,
    by_size,
    gain_by_picture,
    interval_by_picture,
    mean_of,
)
from narrows.models.promptable.prompts import PromptKind
from narrows.models.promptable.train import train_promptable
from narrows.models.training.run import CHECKPOINT
from narrows.runtime.prompting.segmenter import PromptSegmenter

QUICK_PICTURES, QUICK_RUNS = 2, Path("build/bench-prompt-quick")
FLOORS = "floors"

Scores = dict[tuple[str, str, int], Sequence[ThingScore]]
"""By prompt, who judged, and fold: the things of a fold in the same order whoever judged."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench-prompt", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the data sets and weights")
    parser.add_argument("--runs", type=Path, default=RUNS, help="folder of `make train-prompt`")
    parser.add_argument("--quick", action="store_true", help="a few pictures of one fold; proves the machinery")
    options = parser.parse_args()
    dataset = open_instances(options.data / COCO[0], Layout.COCO_PANOPTIC, COCO[1])
    scores: Scores = {}
    by_window: dict[str, list[Overlaps]] = defaultdict(list)
    networks: list[Network] = []
    costs: dict[str, Any] | None = None
    for fold in range(1 if options.quick else FOLDS):
        pictures = list(read_all(dataset, in_fold(dataset.names, fold)[: QUICK_PICTURES if options.quick else None]))
        if options.quick:
            _train_hardly(fold, options.data)
        runs = QUICK_RUNS if options.quick else options.runs
        found = list(networks_of(fold, options.data, runs, fully=not options.quick))
        scores |= _scores_of(fold, pictures, found)
        for network in found:
            if network.by == FLOAT_ALONE:
                for name, overlaps in judge_windows(pictures, PromptSegmenter.open(network.graph)).items():
                    by_window[name].extend(overlaps)
                costs = costs or cost_of(network.graph.parent, _with_things(pictures), quick=options.quick)
        networks += found
        told = ", ".join(f"{each.by} ({each.epochs} epochs)" for each in found) or "no network"
        print(f"fold {fold}: {len(pictures)} pictures, {told}", flush=True)
    rows, gains, windows = _rows(scores), _gains(scores), window_rows(by_window)
    figures = {
        "networks": [{key: value for key, value in asdict(each).items() if key != "graph"} for each in networks],
        "rows": rows,
        "gains": gains,
        "by_size": _by_size(scores),
        "windows": windows,
        "network": costs,
    }
    for row in (*rows, *gains, *windows):
        print(row)
    print(costs if options.quick else write_result("prompt", "make bench-prompt", figures))


def _train_hardly(fold: int, data: Path) -> None:
    run = run_of(QUICK_RUNS, fold)
    if not (run / CHECKPOINT).is_file():
        config = config_of(Role.ALONE, fold, data, QUICK_RUNS)
        train_promptable(replace(config, sources=config.sources[:1], epochs=1, views=64), run)


def _scores_of(fold: int, pictures: Sequence[AnnotatedPicture], networks: Sequence[Network]) -> Scores:
    scores: Scores = {}
    for kind in PromptKind:
        by_hand = grab if kind is PromptKind.BOX else None
        scores[kind.value, FLOORS, fold] = evaluate_prompts(pictures, kind, grabcut=by_hand)
        for network in networks:
            segment = PromptSegmenter.open(network.graph).segment
            scores[kind.value, network.by, fold] = evaluate_prompts(pictures, kind, segment)
    return scores


def _with_things(pictures: Sequence[AnnotatedPicture]) -> AnnotatedPicture:
    return next(picture for picture in pictures if picture.instances)


def _rows(scores: Scores) -> list[dict[str, Any]]:
    """A row for each prompt and judge, all folds in one."""
    pooled: dict[tuple[str, str], list[ThingScore]] = defaultdict(list)
    folds: dict[tuple[str, str], list[int]] = defaultdict(list)
    for (kind, by, fold), things in scores.items():
        pooled[kind, by].extend(things)
        folds[kind, by].append(fold)
    return [_row(kind, by, things, folds[kind, by]) for (kind, by), things in pooled.items()]


def _row(kind: str, by: str, things: Sequence[ThingScore], folds: Sequence[int]) -> dict[str, Any]:
    low, high = interval_by_picture(things)
    fields = ("iou", "iou_crop", "boundary_f", "fill_box", "ellipse", "fill_box_crop", "ellipse_crop", "all_ones_96")
    return {
        "prompt": kind,
        "by": by,
        "folds": list(folds),
        "instances": len(things),
        "low": low,
        "high": high,
        "grabcut": mean_of(things, "grabcut"),
        **{field: mean_of(things, field) for field in fields},
    }


def _gains(scores: Mapping[tuple[str, str, int], Sequence[ThingScore]]) -> list[dict[str, Any]]:
    """What a student that was taught has over the one of the same fold that was not, float both."""
    rows = []
    for kind in PromptKind:
        folds = [fold for (each, by, fold) in scores if each == kind.value and by == Role.TAUGHT.value]
        after = [thing for fold in folds for thing in scores[kind.value, Role.TAUGHT.value, fold]]
        before = [thing for fold in folds for thing in scores[kind.value, FLOAT_ALONE, fold]]
        if after:
            gain, low, high = gain_by_picture(after, before)
            rows.append(
                {"prompt": kind.value, "folds": folds, "instances": len(after), "gain": gain, "low": low, "high": high}
            )
    return rows


def _by_size(scores: Scores) -> dict[str, Any]:
    """With boxes, by COCO's sizes."""
    pooled: dict[str, list[ThingScore]] = defaultdict(list)
    for (kind, by, _), things in scores.items():
        if kind == PromptKind.BOX.value:
            pooled[by].extend(things)
    return {by: by_size(things) for by, things in pooled.items()}


if __name__ == "__main__":
    sys.exit(resumable("make bench-prompt", main))
