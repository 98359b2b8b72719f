"""Tables of what others wrote: neither rich nor a terminal obeys anything in a cell."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table

from narrows.runtime.words import printable


def fill(table: Table, rows: Iterable[Sequence[str]]) -> Table:
    """A row of the table for each one given, in which characters that move the cursor are shown as what they are."""
    for row in rows:
        table.add_row(*map(printable, row))
    return table


def show(table: Table, piped_width: int) -> None:
    """Print a table as wide as the terminal; so many columns where there is none.

    Rich takes ``[/x]`` and ``:car:`` in a cell for orders, and ends the command at the first: not here.
    """
    width = None if sys.stdout.isatty() else piped_width
    Console(width=width, markup=False, emoji=False).print(table)
