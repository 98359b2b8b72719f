"""Saying what is being waited for, and how long it took."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console


@contextmanager
def step(console: Console, name: str) -> Iterator[None]:
    """A start-up step: a spinner while it lasts where there is a terminal, a line when it is done.

    Example:
        >>> with step(Console(), "Redis"):
        ...     start_redis()
    """
    begun_s = time.monotonic()
    if not console.is_terminal:
        console.print(f"  {name} ...", highlight=False)
    with console.status(f"{name} ..."):
        yield
    console.print(f"  [green]✓[/green] {name} ({time.monotonic() - begun_s:.1f} s)", highlight=False)
