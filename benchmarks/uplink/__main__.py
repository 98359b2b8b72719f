"""Cameras behind links that are thin, fade, vanish and lose packets: our control beside every fixed rate level.

Needs root (network namespaces, tbf, iptables, TUN). Example: sudo python -m benchmarks.uplink --quick
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.pipeline.stack import running
from benchmarks.record import write_result
from benchmarks.uplink.link import enter_network
from benchmarks.uplink.runs import Field, Setting
from benchmarks.uplink.score import Score, ratio_to_best
from benchmarks.uplink.traces import Trace, traces
from narrows.contract.bundle import Bundle
from narrows.contract.errors import NarrowsError
from narrows.models.dataset import FolderDataset

_CAMERAS_ON_THE_POLE = 20
_LENGTH_S, _QUICK_LENGTH_S, _WARM_S = 25, 10, 6


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench-uplink", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--bundle", type=Path, default=Path("bundles/demo"))
    parser.add_argument("--data", type=Path, default=Path("samples"), help="labelled folder to play")
    parser.add_argument("--split", default="val")
    parser.add_argument("--fps", type=float, default=10.0, help="the full frame rate")
    parser.add_argument("--at-once", type=int, default=3, help="cameras that this machine bears beside the stack")
    parser.add_argument("--shared", action="store_true", help="only a camera's share of each link, not the whole link")
    parser.add_argument("--only", help="traces whose name has this in it")
    parser.add_argument("--quick", action="store_true", help="short, shared links and two rivals; writes nothing")
    parser.add_argument("--run-folder", type=Path, default=Path("build/bench-uplink"))
    options = parser.parse_args()
    try:
        enter_network("benchmarks.uplink")
        figures = measure(options)
    except NarrowsError as error:
        print(f"bench-uplink: {error}", file=sys.stderr)
        return 1
    show(figures)
    if not options.quick and not options.only:
        asked = f' ARGS="{" ".join(sys.argv[1:])}"' if sys.argv[1:] else ""
        print(write_result("uplink", f"make bench-uplink{asked}", figures))
    return 0


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Every trace, whole and shared, with every setting."""
    bundle, data = Bundle.open(options.bundle), FolderDataset.open(options.data, options.split)
    levels = range(len(bundle.manifest.levels))
    fixed = [levels[0], levels[-1]] if options.quick else list(levels)
    settings = [Setting(None), *(Setting(level) for level in fixed)]
    before = os.getloadavg()[0]
    shutil.rmtree(options.run_folder, ignore_errors=True)
    found: list[dict[str, Any]] = []
    with running(bundle, options.run_folder) as stack:
        field = Field(stack, data, options.fps, options.run_folder)
        field.play(traces(_WARM_S)[1], [Setting(levels[-1])] * options.at_once)
        for trace in _asked(options):
            scores: dict[Setting, Score] = {}
            for lot in _lots(settings, options.at_once):
                scores |= field.play(trace, lot)
            found.append(_judged(trace, scores))
            print(f"{trace.name}: {found[-1]['ratio_to_best_fixed']:.2f} of the best fixed level", file=sys.stderr)
    return {
        "bundle": bundle.hex_id,
        "data": f"{data.root.name}, split {data.split}, {len(data)} frames",
        "frames_per_s": options.fps,
        "cameras_on_the_pole": _CAMERAS_ON_THE_POLE,
        "load_average_before": before,
        "load_average_after": os.getloadavg()[0],
        "traces": found,
    }


def _asked(options: argparse.Namespace) -> list[Trace]:
    """A camera's share of an uplink bites; the uplink whole, with one camera on it, is the issue's own number."""
    whole = traces(_QUICK_LENGTH_S if options.quick else _LENGTH_S)
    shared = [trace.share(_CAMERAS_ON_THE_POLE) for trace in whole]
    asked = shared if options.quick or options.shared else [*shared, *whole]
    return [trace for trace in asked if options.only is None or options.only in trace.name]


def _lots(settings: Sequence[Setting], most: int) -> list[Sequence[Setting]]:
    return [settings[first : first + most] for first in range(0, len(settings), most)]


def _judged(trace: Trace, scores: dict[Setting, Score]) -> dict[str, Any]:
    ours = next(score for setting, score in scores.items() if setting.level is None)
    fixed = {setting.level: score for setting, score in scores.items() if setting.level is not None}
    return {
        "name": trace.name,
        "length_s": trace.length_s,
        "offered_kbit_s": trace.mean_kbit_s,
        "loss": trace.loss,
        "one_way_ms": 1000 * trace.one_way_s,
        "ratio_to_best_fixed": ratio_to_best(ours, fixed),
        "p95_age_s": ours.p95_age_s,
        "settings": {setting.name: asdict(score) for setting, score in scores.items()},
    }


def show(figures: dict[str, Any]) -> None:
    """Print what was measured."""
    table = Table(
        "trace", "setting", "delivered", "mIoU", "delivered mIoU", "p95 age, s", "skipped", "kbit/s used of", "levels"
    )
    for trace in figures["traces"]:
        for name, row in trace["settings"].items():
            table.add_row(
                trace["name"] if name == "ours" else "",
                name,
                f"{row['delivered']} of {row['offered']}",
                f"{row['miou']:.1%}",
                f"{row['delivered_miou']:.1%}",
                f"{row['p95_age_s']:.2f}",
                str(row["skipped"]),
                f"{row['used_kbit_s']:.0f} of {trace['offered_kbit_s']:.0f}",
                f"{row['mean_level']:.1f}, {row['level_changes']} changes",
            )
    Console(width=140).print(table)
    for trace in figures["traces"]:
        ratio, age = trace["ratio_to_best_fixed"], trace["p95_age_s"]
        print(f"{trace['name']}: {ratio:.2f} of the best fixed level, p95 age {age:.2f} s")
    print(f"load average {figures['load_average_before']:.1f} before, {figures['load_average_after']:.1f} after")


if __name__ == "__main__":
    raise SystemExit(main())
