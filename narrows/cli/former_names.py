"""Options that have another name now; the former one is taken for one release, and is not in ``--help``."""

from __future__ import annotations

from typing import TypeVar

import typer

T = TypeVar("T")


def renamed(context: typer.Context, parameter: str, value: T, former: T | None) -> T:
    """``value``, which ``parameter`` has; or ``former`` if that was given and the present name was not, and say so."""
    if former is None:
        return value
    option = "--" + parameter.replace("_", "-")
    typer.echo(f"narrows: --slots is called {option} now; the next release takes no --slots", err=True)
    source = context.get_parameter_source(parameter)
    return former if source is None or source.name == "DEFAULT" else value
