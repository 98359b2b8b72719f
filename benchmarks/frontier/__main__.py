"""Where features pay at a weak camera: masks made there, features, and both, at equal work, as a table and a picture.

It judges what `make train-frontier` has finished so far; what is not finished is named, and left out. Scores are kept,
so this can be run again after every network.

Example: python -m benchmarks.frontier --run runs/frontier
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from benchmarks.frontier.costs import Costs, cost_of
from benchmarks.frontier.data import Parts, read_parts
from benchmarks.frontier.margins import BITS_AT_MOST, Contender, by_budget
from benchmarks.frontier.networks import build
from benchmarks.frontier.plan import RUNS, Cell, Plan, RunFolder
from benchmarks.frontier.plot import draw
from benchmarks.frontier.score import Scored, keep, read, score
from benchmarks.frontier.train import DATA, PRETRAINED, train_all
from benchmarks.rate.progress import say
from benchmarks.record import RESULTS, write_result
from narrows.cli.split import device_named
from narrows.contract.errors import NarrowsError
from narrows.models.split.device import Device
from narrows.models.split.measurements import DeviceMeasurement, read_measurements


@dataclass(frozen=True)
class Judged:
    """A finished network: its cost, and each way to send that it has."""

    cell: Cell
    costs: Costs
    ways: Mapping[str, Scored]


def main() -> int:
    options = _options()
    torch.set_num_threads(1)
    try:
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
            judged = [judge(cell, parts, folder, device, measured) for cell in _finished(plan, folder)]
    except NarrowsError as error:
        print(f"bench-frontier: {error}", file=sys.stderr)
        return 1
    result = result_of(plan, judged, parts, options.device)
    _print(result)
    if not options.quick:
        print(write_result("frontier", "make bench-frontier", result))
        print(draw(result, RESULTS / "frontier.png"))
    else:
        draw(result, options.run / "frontier.png")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-frontier", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="labelled folder of several drives")
    parser.add_argument("--pretrained", type=Path, default=PRETRAINED, help="for --quick, which trains too")
    parser.add_argument("--run", type=Path, help=f"what `make train-frontier` wrote (default {RUNS})")
    parser.add_argument("--device", default="local", help="where cameras are measured: as in `narrows bench-device`")
    parser.add_argument("--measured", type=Path, help="or what `narrows bench-device --json` wrote of them")
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


def judge(
    cell: Cell, parts: Parts, folder: RunFolder, device: Device, measured: Mapping[str, DeviceMeasurement]
) -> Judged:
    """Score and cost of a finished network; scores that were made before are read."""
    say(f"judging {cell.name}")
    network = build(cell, folder, parts.size, len(parts.classes.names))
    network.load_state_dict(torch.load(folder.weights(cell), map_location="cpu", weights_only=True))
    if not folder.scores(cell).is_file():
        keep(folder.scores(cell), score(network, parts))
    return Judged(cell, cost_of(cell, network, parts, folder, device, measured), read(folder.scores(cell)))


def result_of(plan: Plan, judged: Sequence[Judged], parts: Parts, device: str) -> dict[str, Any]:
    """Rows, margins, and the conditions."""
    pixels = parts.size[0] * parts.size[1]
    return {
        "plan": {name: value for name, value in vars(plan).items() if name != "teacher"}
        | {"teacher": bool(plan.teacher)},
        "device": device,
        "bits_at_most": BITS_AT_MOST,
        "frames": len(parts.judged),
        "rows": rows_of(judged, pixels),
        "margins": by_budget(_contenders(judged, pixels)),
    }


def rows_of(judged: Sequence[Judged], pixels: int) -> list[dict[str, Any]]:
    """A row for each budget, design, cloud and way; mIoU is the mean of its seeds."""
    rows: dict[tuple[float, str, float, str], list[tuple[Judged, Scored]]] = {}
    for each in judged:
        cell = each.cell
        for way, scored in each.ways.items():
            key = (cell.budget_gmac, cell.design.value, cell.cloud_gmac if cell.design.has_cloud else 0.0, way)
            rows.setdefault(key, []).append((each, scored))
    return [_row(key, some, pixels) for key, some in sorted(rows.items())]


def _row(key: tuple[float, str, float, str], some: Sequence[tuple[Judged, Scored]], pixels: int) -> dict[str, Any]:
    budget_gmac, design, cloud_gmac, way = key
    costs = some[0][0].costs
    return {
        "budget_gmac": budget_gmac,
        "design": design,
        "cloud_budget_gmac": cloud_gmac,
        "way": way,
        "camera_gmac": costs.camera.macs / 1e9,
        "camera_ms": fmean(each.costs.camera_ms for each, _ in some),
        "camera_parameters": costs.camera.parameters,
        "camera_int8_bytes": costs.camera_int8_bytes,
        "peak_mb": costs.camera.peak_bytes / 1e6,
        "bits_per_pixel": fmean(8 * scored.frame_bytes.mean() / pixels for _, scored in some),
        "cloud_gmac": 0.0 if costs.cloud is None else costs.cloud.macs / 1e9,
        "cloud_ms": 0.0 if costs.cloud_ms is None else costs.cloud_ms,
        "miou": fmean(scored.miou for _, scored in some),
        "seeds": sorted(each.cell.seed for each, _ in some),
    }


def _contenders(judged: Sequence[Judged], pixels: int) -> dict[float, dict[str, list[Contender]]]:
    found: dict[float, dict[str, list[Contender]]] = {}
    for each in judged:
        by_design = found.setdefault(each.cell.budget_gmac, {})
        for way, scored in each.ways.items():
            bits = 8 * float(scored.frame_bytes.mean()) / pixels
            by_design.setdefault(each.cell.design.value, []).append(Contender(f"{each.cell.name} {way}", bits, scored))
    return found


def _print(result: Mapping[str, Any]) -> None:
    print(f"{'GMAC':>5} {'design':<9} {'cloud':>5} {'way':<8}", f"{'GMAC':>6} {'ms':>7} {'peak MB':>8}", end=" ")
    print(f"{'bpp':>7} {'cloud':>6} {'ms':>7} {'mIoU':>7}")
    for row in result["rows"]:
        print(f"{row['budget_gmac']:>5g} {row['design']:<9} {row['cloud_budget_gmac']:>5g} {row['way']:<8}", end=" ")
        print(f"{row['camera_gmac']:>6.3f} {row['camera_ms']:>7.2f} {row['peak_mb']:>8.2f}", end=" ")
        print(f"{row['bits_per_pixel']:>7.4f} {row['cloud_gmac']:>6.3f} {row['cloud_ms']:>7.1f} {row['miou']:>7.2%}")
    for budget, apart in result["margins"].items():
        low, high = apart["interval"]
        print(f"{budget} GMAC, at most {BITS_AT_MOST:g} bits per pixel: {apart['features']} is", end=" ")
        print(f"{apart['points']:+.1f} points ({low:+.1f} to {high:+.1f}) beside {apart['mask']}", end=": ")
        print(f"send the {apart['send']}")


if __name__ == "__main__":
    raise SystemExit(main())
