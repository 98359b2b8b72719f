"""``narrows config``: what the configuration file and the environment say."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from narrows.cli.group import command_group
from narrows.cli.written_paths import file_to_write
from narrows.runtime.writing import write_file

config = command_group("Show what the configuration file and the environment say.")


@config.command()
def show(
    context: typer.Context,
    section: Annotated[str | None, typer.Argument(help="Only this section.", show_default="all")] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON line a key instead of a table.")] = False,
) -> None:
    """Print every key with the value that holds, and where it comes from. Passwords are hidden.

    Example: narrows config show

    Example: narrows config show edge --config narrows.toml
    """
    from narrows.cli.sections import all_keys
    from narrows.contract.errors import ConfigError
    from narrows.runtime.config.effective import effective
    from narrows.runtime.config.file import Configuration, nearest

    keys = [key for key in all_keys() if section in (None, key.section) and not key.hidden]
    if not keys:
        raise ConfigError(
            f"there is no section [{section}]{nearest(section or '', {key.section for key in all_keys()})}"
        )
    configuration = context.obj if isinstance(context.obj, Configuration) else Configuration()
    for each in effective(keys, configuration, os.environ):
        if as_json:
            found = {"section": each.key.section, "key": each.key.name, "value": each.value, "source": each.source}
            print(json.dumps(found))
        else:
            print(f"{f'{each.key.section}.{each.key.name}':28} {each.value:34} {each.source}")


@config.command()
def keys(
    *,
    write: Annotated[
        Path | None, typer.Option(callback=file_to_write, help="Renew the table in this Markdown file.")
    ] = None,
) -> None:
    """Print the table of all keys: type and range, default, environment variable.

    Example: narrows config keys

    Example: narrows config keys --write docs/configuration.md
    """
    from narrows.cli.sections import all_keys
    from narrows.runtime.config.document import table, with_table

    if write is None:
        print(table(all_keys()))
    else:
        write_file(write, with_table(write.read_text(), all_keys()))
