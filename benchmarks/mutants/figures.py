"""The figures of ``benchmarks/results/mutants.json`` in documents."""

from __future__ import annotations

from typing import Any

from benchmarks.markdown import table


def render(result: dict[str, Any]) -> str:
    """The planted faults and who catches them."""
    rows = [[row["name"], f"`{row['file']}`", f"`{row['test']}`"] for row in result["rows"]]
    return (
        table(["fault", "planted in", "caught by"], rows)
        + f"\n\n{result['planted']} planted, {result['survivors']} survived."
    )
