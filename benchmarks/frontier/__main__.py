"""Where features pay at a weak camera: masks made there, features, and both, at equal work, as a table and a picture.

It judges what `make train-frontier` has finished so far; what is not finished is named, and left out. Scores are kept,
so this can be run again after every network.

Example: python -m benchmarks.frontier --run runs/frontier
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.accuracy.folds import FOLDS
from benchmarks.frontier.costs import CLOUD, Target, cost_of
from benchmarks.frontier.data import Parts, read_parts
from benchmarks.frontier.derived import is_current
from benchmarks.frontier.full_size import CELLS, full_size_costs, score_full_size
from benchmarks.frontier.margins import BITS_AT_MOST, by_budget, masks_over
from benchmarks.frontier.networks import build
from benchmarks.frontier.pictures import judge_pictures
from benchmarks.frontier.plan import FULL_GMAC, RUNS, Cell, Plan, RunFolder
from benchmarks.frontier.plot import draw
from benchmarks.frontier.rows import (
    Judged,
    JudgedPictures,
    contenders,
    picture_contenders,
    picture_rows,
    rows_of,
)
from benchmarks.frontier.score import keep, read, score
from benchmarks.frontier.train import DATA, PRETRAINED, train_all
from benchmarks.rate.progress import say
from benchmarks.record import RESULTS, write_result
from benchmarks.resumable import resumable
from benchmarks.unseen import check_unseen
from narrows.cli.split import device_named
from narrows.models.export.resources import count_resources
from narrows.models.nn.stored import BEGIN_ANEW, read_stored
from narrows.models.split.measurements import read_measurements
from narrows.models.training.fitting import TRAINED
from narrows.models.training.run import CHECKPOINT, load_checkpoint


def main() -> int:
    return resumable("bench-frontier", _bench)


def _bench() -> None:
    options = _options()
    torch.set_num_threads(1)
    if options.quick:
        train_all(
            argparse.Namespace(
                **vars(options),
                only=None,
                steps=None,
                pretrain_steps=None,
                seeds=None,
                teacher=None,
                shapes=None,
                list=False,
            )
        )
    plan, folder = Plan.read(options.run), RunFolder(options.run)
    folder.make()
    parts = read_parts(options.data, plan)
    measured = {} if options.measured is None else read_measurements(options.measured)
    with device_named(options.device) as device:
        cameras = Target(device, options.device, measured)
        judged = [judge(cell, parts, folder, cameras) for cell in _finished(plan, folder)]
        pictures = None
        if (full := _full_size(options, plan, parts)) is not None:
            judged += [judge_full_size(full, cell, parts, folder, cameras) for cell in CELLS]
            pictures = pictures_of(full, options.data, parts, plan, folder)
    result = result_of(plan, judged, pictures, parts, options.device)
    _print(result)
    if not options.quick:
        print(write_result("frontier", "make bench-frontier", result))
        print(draw(result, RESULTS / "frontier.png"))
    else:
        draw(result, options.run / "frontier.png")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-frontier", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="labelled folder of several drives")
    parser.add_argument("--pretrained", type=Path, default=PRETRAINED, help="for --quick, which trains too")
    parser.add_argument("--run", type=Path, help=f"what `make train-frontier` wrote (default {RUNS})")
    parser.add_argument("--device", default="local", help="where cameras are measured: as in `narrows bench-device`")
    parser.add_argument("--measured", type=Path, help="or what `narrows bench-device --json` wrote of them")
    parser.add_argument(
        "--full-size", type=Path, default=FOLDS, help="what `make train-drives` wrote: the network of 2.45 GMAC"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--quick", action="store_true", help="train a few steps and judge a few frames; writes no result"
    )
    options = parser.parse_args()
    options.run = options.run or (RUNS.with_name("frontier-quick") if options.quick else RUNS)
    return options


def _finished(plan: Plan, folder: RunFolder) -> list[Cell]:
    missing = [cell.name for cell in plan.cells if not folder.weights(cell).is_file()]
    if missing:
        say(f"not trained yet, and left out: {', '.join(missing)}")
    return [cell for cell in plan.cells if folder.weights(cell).is_file()]


def judge(cell: Cell, parts: Parts, folder: RunFolder, cameras: Target) -> Judged:
    """Score and cost of a finished network; scores that were made of it before are read."""
    say(f"judging {cell.name}")
    network = build(cell, folder, parts.size, len(parts.classes.names))
    read_stored(folder.weights(cell), TRAINED, remedy=BEGIN_ANEW).fill(network)
    if not is_current(folder.scores(cell), folder.weights(cell)):
        keep(folder.scores(cell), score(network, parts))
    return Judged(cell, cost_of(cell, network, parts, folder, cameras), read(folder.scores(cell)))


def _full_size(options: argparse.Namespace, plan: Plan, parts: Parts) -> Path | None:
    """The run folder of the recipe's network that has not seen the drive.

    Raises:
        ConfigError: it has.
    """
    folder: Path = options.full_size / plan.leave_out
    if not options.quick and (folder / CHECKPOINT).is_file():
        check_unseen(folder, [each.name for each in parts.judged])
        return folder
    say(f"no network of {FULL_GMAC:g} GMAC in {folder}, nor pictures that it would read: make train-drives")
    return None


def judge_full_size(run: Path, cell: Cell, parts: Parts, folder: RunFolder, cameras: Target) -> Judged:
    """Score and cost of the largest budget's network, as a mask or as features."""
    say(f"judging {cell.name}")
    network = load_checkpoint(run / CHECKPOINT)
    if not is_current(folder.scores(cell), run / CHECKPOINT):
        keep(folder.scores(cell), score_full_size(network, cell, parts))
    costs = full_size_costs(network, cell, folder.graphs(cell), run / CHECKPOINT, parts, cameras)
    return Judged(cell, costs, read(folder.scores(cell)))


def pictures_of(run: Path, data: Path, parts: Parts, plan: Plan, folder: RunFolder) -> JudgedPictures:
    """What the same network reads of pictures, and costs the cloud."""
    ways = judge_pictures(folder.pictures, run, data, parts, plan)
    graph = folder.graphs(CELLS[0]).camera
    return JudgedPictures(count_resources(graph).macs, CLOUD.milliseconds(graph), ways)


def result_of(
    plan: Plan, judged: Sequence[Judged], pictures: JudgedPictures | None, parts: Parts, device: str
) -> dict[str, Any]:
    """Rows, margins, and the conditions."""
    pixels = parts.size[0] * parts.size[1]
    by_design = contenders(judged, pixels)
    return {
        "plan": {name: value for name, value in vars(plan).items() if name != "teacher"}
        | {"teacher": bool(plan.teacher)},
        "device": device,
        "bits_at_most": BITS_AT_MOST,
        "frames": len(parts.judged),
        "rows": [*rows_of(judged, pixels), *picture_rows(pictures, pixels)],
        "margins": by_budget(by_design),
        "over_pictures": masks_over(picture_contenders(pictures, pixels), by_design),
    }


def _print(result: Mapping[str, Any]) -> None:
    print(f"{'GMAC':>5} {'design':<9} {'cloud':>5} {'way':<8}", f"{'GMAC':>6} {'ms':>7} {'peak MB':>8}", end=" ")
    print(f"{'bpp':>7} {'cloud':>6} {'ms':>7} {'mIoU':>7}")
    for row in result["rows"]:
        print(f"{row['budget_gmac']:>5g} {row['design']:<9} {row['cloud_budget_gmac']:>5g} {row['way']:<8}", end=" ")
        print(f"{row['camera_gmac']:>6.3f} {_or_none(row['camera_ms']):>7} {_or_none(row['peak_mb']):>8}", end=" ")
        print(f"{row['bits_per_pixel']:>7.4f} {row['cloud_gmac']:>6.3f} {row['cloud_ms']:>7.1f} {row['miou']:>7.2%}")
    for budget, apart in result["margins"].items():
        low, high = apart["interval"]
        print(f"{budget} GMAC, at most {BITS_AT_MOST:g} bits per pixel: {apart['features']} is", end=" ")
        print(f"{apart['points']:+.1f} points ({low:+.1f} to {high:+.1f}) beside {apart['mask']}", end=": ")
        print(f"send the {apart['send']}")
    for budget, apart in result["over_pictures"].items():
        low, high = apart["interval"]
        print(f"{budget} GMAC: {apart['mask']} is {apart['points']:+.1f} points ({low:+.1f} to {high:+.1f})", end=" ")
        print(f"beside {apart['picture']}")
        if (own := apart["at_its_bits"]) is not None:
            print(f"  and {own['points']:+.1f} beside {own['picture']}, which takes no more bits")


def _or_none(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


if __name__ == "__main__":
    raise SystemExit(main())
