"""The sections of ``narrows.toml``: one for each program, and those that several programs share."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import typer

from narrows.cli.commands import COMMANDS, Command
from narrows.runtime.config import Configuration, Key, keys_of, read
from narrows.runtime.config.key import REQUIRED

DEFAULT_FILE = Path("narrows.toml")
SHARED = {"redis_url": ("redis", "url"), "triton": ("triton", "address")}


@functools.cache
def all_keys() -> tuple[Key, ...]:
    """Every key that a file may have: the shared ones, then each program's."""
    shared: dict[str, Key] = {}
    own: list[Key] = []
    for command in COMMANDS:
        for function in _functions(command):
            for key in keys_of(command.name, function):
                if key.parameter in SHARED:
                    section, name = SHARED[key.parameter]
                    if key.parameter not in shared or shared[key.parameter].default in (REQUIRED, None):
                        shared[key.parameter] = _as_one_text(replace(key, section=section, name=name))
                elif is_program(command):
                    own.append(key)
    return (*shared.values(), *own)


def configured(path: Path | None, command: Command) -> Configuration:
    """The file at ``path``, else ``narrows.toml`` in this folder, else nothing.

    A command that is ``alone`` passes over the sections of others, unread.

    Raises:
        ConfigError: it cannot be used; the message has the line and what to write.
    """
    chosen = path or (DEFAULT_FILE if DEFAULT_FILE.is_file() else None)
    if chosen is None:
        return Configuration()
    if not command.alone:
        return read(chosen, all_keys())
    others = {each.name for each in COMMANDS if each != command} | {section for section, _ in SHARED.values()}
    own = [key for function in _functions(command) for key in keys_of(command.name, function)]
    return read(chosen, own, passed_over=others)


def default_map(configuration: Configuration, command: Command) -> dict[str, Any]:
    """What the file says to a command, as Typer takes it; to each subcommand where there are some."""
    many = {key.parameter for function in _functions(command) for key in keys_of(command.name, function) if key.many}
    shared = {
        name: [value] if name in many else value
        for section, _ in SHARED.values()
        for name, value in configuration.defaults(section).items()
    }
    if is_program(command):
        return shared | configuration.defaults(command.name)
    return dict.fromkeys(_subcommands(command), shared)


def _as_one_text(key: Key) -> Key:
    """Where one program takes several and another takes one, the file has a text with commas between."""
    return replace(key, many=False, default=",".join(key.default)) if key.many else key


def _found(command: Command) -> Callable[..., object] | typer.Typer:
    found: Callable[..., object] | typer.Typer = getattr(import_module(command.module), command.attribute)
    return found


def is_program(command: Command) -> bool:
    """Whether a command is one program with a section of its own, and not a group of subcommands."""
    return not isinstance(_found(command), typer.Typer)


def _functions(command: Command) -> Iterator[Callable[..., object]]:
    found = _found(command)
    if not isinstance(found, typer.Typer):
        yield found
        return
    for info in found.registered_commands:
        if info.callback is not None:
            yield info.callback


def _subcommands(command: Command) -> list[str]:
    found = _found(command)
    infos = found.registered_commands if isinstance(found, typer.Typer) else []
    return [info.name or info.callback.__name__.replace("_", "-") for info in infos if info.callback is not None]
