"""``narrows compare``: the results of `make bench-rate` as a page to look at."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from narrows.cli.written_paths import file_to_write


def compare(
    report: Annotated[
        Path, typer.Option(callback=file_to_write, help="HTML page to write: one file, nothing fetched.")
    ],
    results: Annotated[Path, typer.Option(help="What `make bench-rate` stored.")] = Path(
        "benchmarks/results/rate.json"
    ),
    run: Annotated[Path, typer.Option(help="The run folder that it read; its masks are shown.")] = Path("runs/rate"),
) -> None:
    """Write the methods' curves, costs and masks side by side into one page.

    Example: narrows compare --report out.html
    """
    from narrows.models.comparison import Results, write_page

    write_page(Results.read(results, run / "masks"), report)
    typer.echo(f"{report}: {report.stat().st_size / 1e6:.1f} MB")
