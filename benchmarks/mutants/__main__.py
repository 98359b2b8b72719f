"""``make mutants``: plant one fault at a time in a copy of the tree; the test that is named for each must catch it."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from benchmarks.mutants.mutant import Mutant
from benchmarks.mutants.scratch import Said, Scratch
from benchmarks.mutants.table import MUTANTS
from benchmarks.record import write_result
from narrows.errors import NarrowsError, ServiceError

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Row:
    """What became of a mutant.

    Attributes:
        caught: whether a claim of its test failed.
        by: what failed; of a survivor, what happened instead.
        seconds: how long its test took.
    """

    name: str
    file: str
    test: str
    caught: bool
    by: str
    seconds: float


def main() -> int:
    """Try all, or those that ``--only`` names."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mutants", description=__doc__)
    parser.add_argument("--only", default="", metavar="TEXT", help="mutants whose name or file has this text")
    parser.add_argument("--list", action="store_true", help="name them and end")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the copy is removed
    console = Console(width=None if sys.stdout.isatty() else 160)
    chosen = [mutant for mutant in MUTANTS if options.only in mutant.name or options.only in mutant.file]
    if options.list:
        for mutant in chosen:
            console.print(f"{mutant.file}: {mutant.name}", highlight=False)
        return 0
    try:
        rows = try_all(chosen, console)
    except NarrowsError as error:
        console.print(f"[red]{error}[/]")
        return 1
    except KeyboardInterrupt:
        console.print("interrupted; nothing is left behind")
        return 130
    survivors = [row for row in rows if not row.caught]
    console.print(_table(rows))
    console.print(f"{len(rows)} planted, {len(survivors)} survived")
    if not options.only:
        figures = {"planted": len(rows), "survivors": len(survivors), "rows": [asdict(row) for row in rows]}
        write_result("mutants", "make mutants", figures)
    return 1 if survivors else 0


def try_all(mutants: Sequence[Mutant], console: Console) -> list[Row]:
    """Try each.

    Raises:
        MutantRotten: one cannot be planted any more.
        ServiceError: a test fails without any fault.
    """
    for mutant in mutants:
        mutant.applied_to((ROOT / mutant.file).read_text())
    rows: list[Row] = []
    with Scratch.of(ROOT) as scratch, _progress(console) as progress:
        task = progress.add_task("the tests without a fault", total=len(mutants) + 1)
        whole = scratch.test(*sorted({mutant.test for mutant in mutants}))
        if whole.failed or whole.broken or not whole.passed:
            raise ServiceError(f"without any fault: {_said(whole)}; mend that first")
        for mutant in mutants:
            progress.update(task, description=mutant.name[:50], advance=1)
            begun_s = time.monotonic()
            said = scratch.try_mutant(mutant)
            caught = bool(said.failed)
            rows.append(
                Row(mutant.name, mutant.file, mutant.test, caught, _said(said), round(time.monotonic() - begun_s, 1))
            )
            if not caught or not console.is_terminal:  # where no bar is drawn
                left_s = sum(row.seconds for row in rows) / len(rows) * (len(mutants) - len(rows))
                verdict = "caught" if caught else f"[red]survived[/] ({_said(said)})"
                console.print(f"{len(rows)} of {len(mutants)}, {left_s:.0f} s left: {mutant.name}: {verdict}")
        progress.advance(task)
    return rows


def _said(said: Said) -> str:
    return next(iter((*said.failed, *said.broken)), f"{said.passed} tests passed")


def _progress(console: Console) -> Progress:
    text = TextColumn("{task.description:50}")
    return Progress(text, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=console)


def _table(rows: Sequence[Row]) -> Table:
    table = Table("fault", "planted in", "caught by", "s", title="Planted faults")
    for row in rows:
        caught = row.test.partition("::")[2] if row.caught else f"[red]survived {row.test}[/]"
        table.add_row(row.name, row.file, caught, f"{row.seconds:.1f}")
    return table


if __name__ == "__main__":
    sys.exit(main())
