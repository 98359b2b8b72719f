"""What benchmarks' figures are written with in documents: Markdown tables, and numbers that may be missing."""

from __future__ import annotations

from typing import Any

Row = list[str]


def table(head: Row, rows: list[Row]) -> str:
    """A table of Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def ms(value: float | None) -> str:
    """Milliseconds with two digits; nothing where there is none."""
    return "" if value is None else f"{value:.2f}"


def rate(value: float | None) -> str:
    """A rate with one digit; nothing where there is none."""
    return "" if value is None else f"{value:.1f}"


def load(result: dict[str, Any]) -> str:
    """How busy the machine was."""
    before, after = result["load_average_before"], result["load_average_after"]
    return f"the machine was shared: load average {before:.1f} before, {after:.1f} after"
