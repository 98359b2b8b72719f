"""The figures as tables for people."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.peers.figures import HEAD, rows

_MODELS = {"decoder": "the bundle's decoder", "near_free_model": "a near-free model"}


def show(figures: dict[str, Any]) -> None:
    """Print what was measured."""
    console = Console(width=130)
    for model, title in _MODELS.items():
        table = Table(title, *HEAD[1:])
        for row in rows(figures[model]):
            table.add_row(*row)
        console.print(table)
    print(f"load average {figures['load_average_before']:.2f} before, {figures['load_average_after']:.2f} after")
