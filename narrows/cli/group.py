"""A command that has commands of its own: all of them answer ``-h`` and show errors in one way."""

from __future__ import annotations

import typer


def command_group(help_text: str) -> typer.Typer:
    """A group without commands yet; without any on the command line it shows its help."""
    return typer.Typer(
        help=help_text,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
