"""``make simulate-fleet``: what 1,000 to 1,000,000 cameras need, and what they notice of a zone that is lost."""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.fleet.connect_cost import connect_ms
from benchmarks.fleet.costs import Costs
from benchmarks.fleet.figures import ROWS_OF_ZONE, rows_of
from benchmarks.fleet.links import ReconnectRules
from benchmarks.fleet.picture import draw
from benchmarks.fleet.sizing import Assumptions, Plan, hottest, plan
from benchmarks.fleet.zone import ZoneLoss, ZoneResult, run_all
from benchmarks.record import write_result
from narrows.contract.errors import NarrowsError

_ROOT = Path(__file__).parents[2]
_SIZES = (1_000, 10_000, 100_000, 1_000_000)
_SIMULATED, _LARGE = 10_000, 100_000
_PAUSE_S = 5.0
_LATE_SHARE = 0.01
"""Of the objective: what 99 % of the frames are to keep."""
_MASTERS, _SHARDS_A_MASTER = (3, 6, 24, 48, 96), (1, 4, 8, 16, 32)


def main() -> int:
    options = vars(_parser().parse_args())
    quick = options.pop("quick")
    console = Console(width=None if sys.stdout.isatty() else 120)
    chosen = Assumptions(**{name: value for name, value in options.items() if value is not None})
    try:
        with tempfile.TemporaryDirectory(prefix="narrows-fleet-") as folder:
            costs = Costs.measured(chosen.level, connect_ms(Path(folder)))
    except NarrowsError as error:
        console.print(f"[red]{error}[/]")
        return 1
    plans = [plan(cameras, costs, chosen) for cameras in _SIZES]
    needs = [asdict(each) for each in plans]
    _print("What a fleet needs", rows_of(needs), needs, console)
    results = {}
    for name, losses in scenarios(costs, chosen, [1_000] if quick else [1_000, _SIMULATED, _LARGE]).items():
        results[name] = run_all(losses)
        console.print(f"{name}: {results[name].simulated_s / results[name].wall_s:.0f} times real time", style="dim")
    lines = [line(name, result) for name, result in results.items()]
    _print("A zone is lost, and comes back", ROWS_OF_ZONE, lines, console)
    if not quick and chosen == Assumptions():  # what is published is what `make simulate-fleet` finds
        draw(_ROOT / "docs" / "pictures" / "fleet-zone.svg", results)
        write_result("fleet", "make simulate-fleet", _figures(costs, chosen, plans, lines))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, epilog="Figures of other assumptions are written nowhere.")
    parser.add_argument("--quick", action="store_true", help="simulate 1,000 cameras alone; writes nothing")
    parser.add_argument("--fps", type=above_zero, help="frames/s of a camera")
    parser.add_argument("--level", type=int, choices=range(5), help="rate level")
    parser.add_argument("--core-h", type=above_zero, help="price of a core for an hour")
    parser.add_argument("--gib-h", type=above_zero, help="price of a GiB of memory for an hour")
    parser.add_argument("--zone-gb", type=zero_or_more, help="price of a GB between zones")
    parser.add_argument("--gpu-h", type=above_zero, help="price of a GPU with its machine")
    parser.add_argument("--gpu-fps", type=above_zero, help="frames/s that one GPU decodes (make gpu-kit measures it)")
    return parser


def above_zero(text: str) -> float:
    """An amount.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    amount = zero_or_more(text)
    if not amount:
        raise argparse.ArgumentTypeError(f"{text!r} is no number above zero")
    return amount


def zero_or_more(text: str) -> float:
    """An amount, or none.

    Raises:
        argparse.ArgumentTypeError: it is no number, or none that is finite, or less than zero.
    """
    try:
        amount = float(text)
    except ValueError:
        amount = math.nan
    if not 0 <= amount < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of zero or more")
    return amount


def scenarios(costs: Costs, chosen: Assumptions, sizes: Sequence[int]) -> dict[str, list[ZoneLoss]]:
    """What is simulated, by name: each size with masters that go home one by one; one size in other ways too."""
    found = {}
    for cameras in sizes:
        installs = _installs(plan(cameras, costs, chosen), costs, chosen)
        found[f"{cameras:,} cameras, masters home one by one"] = installs
        if cameras != _SIMULATED:
            continue
        (install,) = installs
        found[f"{cameras:,}, all masters home at once"] = [replace(install, pause_s=0.0)]
        found[f"{cameras:,}, no room for decoders elsewhere"] = [replace(install, spare=False)]
        former = replace(install, pause_s=0.0, rules=ReconnectRules(ask_anybody=False, renew_apart=False))
        found[f"{cameras:,}, at once, as cameras were before"] = [former]
    return found


def _installs(needed: Plan, costs: Costs, chosen: Assumptions) -> list[ZoneLoss]:
    install = ZoneLoss(
        cameras=needed.cameras // needed.installs,
        masters=needed.masters // needed.installs,
        shards=needed.shards,
        dispatchers=needed.dispatchers // needed.installs,
        connect_s=costs.connect_ms / 1000,
        redis_frame_s=costs.redis_frame_ms / 1000,
        decoder_frame_s=costs.decoder_frame_ms / 1000,
        fps=chosen.fps,
        zones=chosen.zones,
        pause_s=_PAUSE_S,
    )
    return [replace(install, seed=seed + 1) for seed in range(needed.installs)]


def line(name: str, result: ZoneResult) -> dict[str, Any]:
    """The figures of one simulated loss, as a row."""
    calm, lost, back, given, later = (
        result.peak(*span) for span in ((5, 60), (60, 240), (240, 300), (300, 600), (600, 1000))
    )
    return {
        "name": name,
        "calm_reconnects_per_s": calm[0],
        "lost_reconnects_per_s": lost[0],
        "lost_p99_age_s": lost[1],
        "lost_calm_after_s": result.calm_after_s(60),
        "back_p99_age_s": back[1],
        "left_out": float(result.left_out.max()),
        "left_out_s": int((result.left_out > _LATE_SHARE).sum()),
        "home_reconnects_per_s": given[0],
        "home_p99_age_s": given[1],
        "later_reconnects_per_s": later[0],
        "busiest_share": result.busiest_share,
        "times_real_time": result.simulated_s / result.wall_s,
    }


def _figures(
    costs: Costs, chosen: Assumptions, plans: Sequence[Plan], lines: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "costs": asdict(costs),
        "assumptions": asdict(chosen),
        "plans": [asdict(each) for each in plans],
        "zone": list(lines),
        "hottest": {
            str(masters): {
                str(each): round(hottest(masters * each, masters), 2)
                for each in _SHARDS_A_MASTER
                if masters * each <= 1024
            }
            for masters in _MASTERS
        },
    }


def _print(title: str, rows: Sequence[tuple[str, str, str]], found: Sequence[dict[str, Any]], console: Console) -> None:
    """A column for each of what was found."""
    shown = Table(title=title, show_header=False)
    for label, name, form in rows:
        shown.add_row(label, *(format(each[name], form) for each in found))
    console.print(shown)


if __name__ == "__main__":
    sys.exit(main())
