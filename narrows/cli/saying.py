"""Printing what others named: bundles, networks, cameras."""

from __future__ import annotations

from typing import TextIO

from narrows.runtime.words import printable


def say(line: str, file: TextIO | None = None) -> None:
    """Print a line of which a part was written by others: a terminal shows it and obeys nothing in it."""
    print(printable(line), file=file)
