"""Where a network is split while link and cloud change: our planner beside device only, server only and its rivals.

The real stack: cameras with a share of a core, each in a network namespace behind a link that follows a trace, Redis,
a dispatcher, and a Triton with every tail, of whose processor others take what the trace says. Needs root. A run that
was ended goes on where it was. Example: python -m benchmarks.split --quick
"""

from __future__ import annotations

import argparse
import math
import os
import shutil
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.record import RESULTS, read_result, write_result
from benchmarks.split.design_tables import DEVICE_ONLY, OURS, RIVALS, SERVER_ONLY, STATIC
from benchmarks.split.simulated_runs import simulated
from benchmarks.split.traces import SplitTrace, traces
from benchmarks.split.verdict import NUMBERS, intervals, verdict
from narrows.contract.errors import NarrowsError
from narrows.contract.schedule import Objective

_RUNS, _AT_ONCE = 5, 2
_QUICK_LENGTH_S, _QUICK_TRACES = 10, ("step 4 to 0.3 Mbit/s", "2 Mbit/s, two rushes")
_SIMULATED = "simulated"
_PICTURES, _NETWORK = Path("samples/images/val"), Path(".cache/networks/street.onnx")


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench-split", description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--simulate", action="store_true", help="the simulator alone: device, link and cloud by formulas"
    )
    parser.add_argument("--quota", type=float, default=0.1, help="cores that the device has")
    parser.add_argument("--only", default="", help="with --simulate: networks whose names begin so; else: such traces")
    parser.add_argument("--runs", type=int, default=_RUNS, help="of every contender on every trace")
    parser.add_argument("--objective", type=Objective, choices=["throughput", "latency"], help="one of them alone")
    parser.add_argument(
        "--at-once", type=int, default=_AT_ONCE, help="cameras that this machine bears beside the stack"
    )
    parser.add_argument("--most-minutes", type=float, default=math.inf, help="stop then; the next call goes on")
    parser.add_argument("--fresh", action="store_true", help="forget what was played before")
    parser.add_argument("--quick", action="store_true", help="two short traces, one run; writes nothing")
    parser.add_argument("--run-folder", type=Path, default=Path("build/bench-split"))
    options = parser.parse_args()
    try:
        found = _simulated(options) if options.simulate else _real(options)
    except NarrowsError as error:
        print(f"bench-split: {error}", file=sys.stderr)
        return 1
    if found is None:
        print("no trace was played by every contender yet: call it again", file=sys.stderr)
        return 1
    show(found)
    if not options.quick and not options.only:
        print(write_result("split", _command(options), _joined(found, options)))
    return 0


def _command(options: argparse.Namespace) -> str:
    """What brings the real part; the simulated one has ``--simulate``."""
    given = {
        "runs": (options.runs, _RUNS),
        "at-once": (options.at_once, _AT_ONCE),
        "objective": (options.objective, None),
    }
    said = " ".join(f"--{name} {value}" for name, (value, usual) in given.items() if value != usual)
    if options.simulate and (RESULTS / "split.json").is_file():
        return str(read_result("split")["command"])
    return f'make bench-split ARGS="{said}"' if said else "make bench-split"


def _joined(found: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    """The real part leads, the simulated one is a part of its own; the one that was not run stays as it was."""
    before = read_result("split") if (RESULTS / "split.json").is_file() else {}
    if options.simulate:
        return {key: value for key, value in before.items() if key not in ("command", "machine")} | {_SIMULATED: found}
    return found | {_SIMULATED: before.get(_SIMULATED)}


def _simulated(options: argparse.Namespace) -> dict[str, Any]:
    return simulated(options.only, options.quota, quick=options.quick)


def _real(options: argparse.Namespace) -> dict[str, Any] | None:
    from benchmarks.split.real.measure import OBJECTIVES, Stored, contenders_of, lots, measure, runs_of  # noqa: PLC0415
    from benchmarks.split.real.runs import running  # noqa: PLC0415
    from benchmarks.uplink.link import enter_network  # noqa: PLC0415

    folder = (options.run_folder / ("quick" if options.quick else "full")).absolute()
    bundle = _bundle(options.run_folder)
    enter_network("benchmarks.split")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # control groups and servers go with the contexts
    began_s, before = time.monotonic(), os.getloadavg()[0]
    folder.mkdir(parents=True, exist_ok=True)
    if options.fresh or options.quick:
        (folder / "plays.jsonl").unlink(missing_ok=True)
    asked, objectives = _asked(options), [options.objective] if options.objective else list(OBJECTIVES)
    stored, contenders = Stored(folder / "plays.jsonl"), contenders_of(bundle)
    todo = list(lots(contenders, asked, objectives, 1 if options.quick else options.runs, options.at_once))
    shutil.rmtree(folder / "stack", ignore_errors=True)
    with running(bundle, folder / "stack", _PICTURES.absolute(), options.at_once) as cloud:
        measure(cloud, todo, stored, options.quota, began_s + 60 * options.most_minutes)
    runs = runs_of(stored, contenders, asked, objectives)
    if not runs:
        return None
    played = [len(row["scores"][OURS]["runs"]) for run in runs for row in run["traces"]]
    return {
        "network": "street", "quota_cores": options.quota, "at_once": options.at_once,
        "runs_of_each": [min(played), max(played)], "bundle": bundle.hex_id,
        "load_average_before": before, "load_average_after": os.getloadavg()[0],
        **verdict(runs), "intervals": intervals(runs) if min(played) > 1 else {}, "runs": runs,
    }  # fmt: skip


def _bundle(folder: Path) -> Any:  # noqa: ANN401 -- a SplitBundle, of a module that takes a while to import
    from benchmarks.split.real.bundle import opened_or_written  # noqa: PLC0415

    return opened_or_written(_NETWORK, _PICTURES, (folder / "bundle").absolute())


def _asked(options: argparse.Namespace) -> Sequence[SplitTrace]:
    if options.quick:
        return [trace for trace in traces(_QUICK_LENGTH_S) if trace.name in _QUICK_TRACES]
    return [trace for trace in traces() if trace.name.startswith(options.only)]


def show(figures: Mapping[str, Any]) -> None:
    """Print what was measured."""
    names = [OURS, STATIC, DEVICE_ONLY, SERVER_ONLY, *RIVALS]
    for run in figures["runs"]:
        unit = "results/s" if run["objective"] == Objective.THROUGHPUT else "1 / mean latency, 1/s"
        table = Table("trace", *names, "switches", title=f"{run['network']}: {unit}")
        for row in run["traces"]:
            cells = [f"{row['scores'][name]['median']:.2f}" for name in names]
            table.add_row(row["trace"], *cells, f"{row['switches']:g}")
        Console(width=160).print(table)
    for name in NUMBERS:
        print(f"{name}: {figures[name]:.3g}")


if __name__ == "__main__":
    raise SystemExit(main())
