"""Each idea of the recipe alone: trains what is missing, resumable, then tells what all came to on the check blocks.

All runs go on from one bundle for equally many steps. Differences are of one seed: read them beside each other, not as
the recipe's figures, which are those of ``make bench-accuracy`` on drives that training has not seen.

Example: python -m benchmarks.ablations --only bad-pictures
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.ablations.ideas import IDEAS, settings
from benchmarks.record import write_result
from benchmarks.resumable import resumable
from narrows.contract.errors import ConfigError
from narrows.models.training.config import TrainingConfig
from narrows.models.training.progress import read_records

FIGURES = ("miou0", "miou2", "miou4", "checked_bpp0", "checked_bpp2", "checked_bpp4", "bad_miou2", "bad_checked_bpp2")


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench-ablations", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data/camvid"), help="labelled folder")
    parser.add_argument("--begin-from", type=Path, default=Path("bundles/demo"), help="bundle that all runs go on from")
    parser.add_argument("--runs", type=Path, default=Path("runs/ablations"), help="a run folder for each idea")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=tuple(IDEAS), default=tuple(IDEAS), help="train these alone")
    parser.add_argument("--table", action="store_true", help="train nothing: tell what is there")
    options = parser.parse_args()
    configs = {name: settings(idea, options.data, options.begin_from, options.epochs) for name, idea in IDEAS.items()}
    if not options.table:
        from narrows.models.training.loop import train  # noqa: PLC0415 -- the table needs no torch

        for name in options.only:
            train(configs[name], options.runs / name, partial(print, f"{name}:", flush=True))
    rows = [row for name, config in configs.items() for row in ended(name, config, options.runs / name)]
    for row in rows:
        print(row)
    if not rows:
        raise ConfigError(f"{options.runs} has no run of {options.epochs} epochs: `make bench-ablations` trains them")
    missing = sorted(set(IDEAS) - {row["idea"] for row in rows})
    command = f"make bench-ablations  # {options.data.name}, {options.epochs} epochs each"
    print(write_result("ablations", command, {"epochs": options.epochs, "ideas": rows, "not_run": missing}))


def ended(name: str, config: TrainingConfig, folder: Path) -> list[dict[str, Any]]:
    """The last record of a run that came to its end and was checked there; nothing of one that did not."""
    last = next(iter(read_records(folder)[-1:]), {"epoch": 0})
    if last["epoch"] != config.epochs or any(figure not in last for figure in FIGURES):
        return []
    return [{"idea": name, "told": IDEAS[name].told, **{figure: last[figure] for figure in FIGURES}}]


if __name__ == "__main__":
    sys.exit(resumable("make bench-ablations", main))
