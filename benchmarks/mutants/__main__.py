"""``make mutants``: plant one fault at a time in a copy of the tree; the test that is named for each must catch it."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from queue import Queue

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from benchmarks.mutants.mutant import Mutant
from benchmarks.mutants.scratch import Said, Scratch
from benchmarks.mutants.table import MUTANTS
from benchmarks.record import write_result
from narrows.contract.errors import NarrowsError, ServiceError

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
    parser.add_argument("--jobs", type=int, default=3, help="how many at once (default 3: most of a test is waiting)")
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
        rows = try_all(chosen, options.jobs, console)
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


def try_all(mutants: Sequence[Mutant], jobs: int, console: Console) -> list[Row]:
    """Try each, in ``jobs`` copies of the tree at once.

    Raises:
        MutantRotten: one cannot be planted any more.
        ServiceError: a test fails without any fault.
    """
    for mutant in mutants:
        mutant.applied_to((ROOT / mutant.file).read_text())
    rows: list[Row] = []
    begun_s = time.monotonic()
    with ExitStack() as stack:
        copies, scratches = [stack.enter_context(Scratch.of(ROOT)) for _ in range(jobs)], Queue[Scratch]()
        for scratch in copies:
            scratches.put(scratch)
        progress = stack.enter_context(_progress(console))
        task = progress.add_task("each test without its fault, then with it", total=len(mutants))
        pool = stack.enter_context(ThreadPoolExecutor(jobs))
        for scratch in copies:
            stack.callback(scratch.end)
        stack.callback(pool.shutdown, wait=False, cancel_futures=True)
        for row in pool.map(partial(_try_in_one, scratches, set()), mutants):
            rows.append(row)
            progress.advance(task)
            if not row.caught or not console.is_terminal:  # where no bar is drawn
                left_s = (time.monotonic() - begun_s) / len(rows) * (len(mutants) - len(rows))
                verdict = "caught" if row.caught else f"[red]survived[/] ({row.by})"
                console.print(f"{len(rows)} of {len(mutants)}, {left_s:.0f} s left: {row.name}: {verdict}")
    return rows


def _try_in_one(scratches: Queue[Scratch], sound: set[str], mutant: Mutant) -> Row:
    """Try one where there is a copy free; ``sound`` are the tests that pass without any fault."""
    scratch, begun_s = scratches.get(), time.monotonic()
    try:
        if mutant.test not in sound:
            whole = scratch.test(mutant.test)
            if whole.failed or whole.broken or not whole.passed:
                raise ServiceError(f"without any fault, {mutant.test}: {_said(whole)}; mend that first")
            sound.add(mutant.test)
        said = scratch.try_mutant(mutant)
        seconds = round(time.monotonic() - begun_s, 1)
        return Row(mutant.name, mutant.file, mutant.test, bool(said.failed), _said(said), seconds)
    finally:
        scratches.put(scratch)


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
