"""Parsing a ``narrows ...`` line as the command line does, without running anything."""

from __future__ import annotations

import functools
import re
import shlex
from collections.abc import Callable, Iterator
from importlib import import_module

import typer

from narrows.cli.commands import COMMANDS, Command

_PROGRAM = re.compile(r"(?:\.venv[a-z-]*/bin/)?narrows")
_ASSIGNMENT = re.compile(r"[A-Z_]+=\S*")
_SUBSTITUTION = re.compile(r"\$\([^)]*\)")
_ENDS = frozenset({"|", "&", ";", ">", ">>", "&&"})


class Unparsed(AssertionError):
    """The line is no command of ours, or its options are not those of the command."""


def words_of(line: str) -> list[str]:
    """A shell line's words up to a pipe, an ampersand or a comment, without assignments before the command."""
    words = shlex.split(_SUBSTITUTION.sub("X", line), comments=True)
    while words and _ASSIGNMENT.fullmatch(words[0]):
        words.pop(0)
    end = next((index for index, word in enumerate(words) if word in _ENDS), len(words))
    return words[:end]


def parse(line: str) -> dict[str, object]:
    """The parameters that a ``narrows`` line gives its command.

    Raises:
        Unparsed: the message has the line and what is wrong with it.
    """
    program, *words = words_of(line)
    if not (_PROGRAM.fullmatch(program) and words):
        raise Unparsed(f"{line!r} is no narrows command")
    if words[0] in {"--help", "--version"}:
        return {}
    command = next((each for each in COMMANDS if each.name == words[0]), None)
    if command is None:
        raise Unparsed(f"{line!r}: there is no narrows {words[0]}")
    called: list[dict[str, object]] = []
    try:
        typer.main.get_command(_stubbed(command, called)).main(
            _without_config(words[1:]), prog_name=f"narrows {words[0]}"
        )
    except SystemExit as ended:
        if ended.code != 0 or not called:
            raise Unparsed(f"{line!r} ended with {ended.code} and called {len(called)} commands") from None
    return called[0]


def functions_of(command: Command) -> Iterator[tuple[str, Callable[..., object]]]:
    """``narrows NAME`` or ``narrows NAME SUBCOMMAND``, and the function behind it."""
    found = getattr(import_module(command.module), command.attribute)
    if not isinstance(found, typer.Typer):
        yield f"narrows {command.name}", found
        return
    for info in found.registered_commands:
        assert info.callback is not None
        yield f"narrows {command.name} {info.name or info.callback.__name__.replace('_', '-')}", info.callback


def examples_of(function: Callable[..., object]) -> list[str]:
    """The examples in a command's help, each as one line."""
    paragraphs = re.split(r"\n\s*\n", function.__doc__ or "")
    return [
        " ".join(each.split()).removeprefix("Example: ") for each in paragraphs if each.strip().startswith("Example: ")
    ]


def _stubbed(command: Command, called: list[dict[str, object]]) -> typer.Typer:
    stubbed = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    functions = list(functions_of(command))
    for name, function in functions:
        shape = getattr(import_module(command.module), "COMMAND_CLASS", None)
        stubbed.command(name.rpartition(" ")[2], cls=shape)(_recording(function, called))
    if functions[0][0].count(" ") == 2:
        stubbed.callback()(lambda: None)  # keeps a group with one command a group
    return stubbed


def _recording(function: Callable[..., object], called: list[dict[str, object]]) -> Callable[..., object]:
    @functools.wraps(function)
    def record(*_arguments: object, **options: object) -> None:
        called.append(options)

    return record


def _without_config(words: list[str]) -> list[str]:
    """``--config FILE`` is the root's."""
    if "--config" in words:
        at = words.index("--config")
        assert len(words) > at + 1, "--config needs a file"
        return words[:at] + words[at + 2 :]
    return words
