"""Every command and subcommand shows how it is used, and the example is right."""

from collections.abc import Callable

import pytest
from typer.testing import CliRunner

from narrows.cli.commands import COMMANDS
from narrows.cli.root import app
from tests.docs.commands import examples_of, functions_of, parse

FUNCTIONS = [pytest.param(name, function, id=name) for each in COMMANDS for name, function in functions_of(each)]


@pytest.mark.parametrize(("name", "function"), FUNCTIONS)
def test_its_help_has_an_example_that_parses(name: str, function: Callable[..., object]) -> None:
    examples = examples_of(function)
    assert examples, f"the docstring of `{name}` needs a line 'Example: {name} ...'"
    for example in examples:
        assert name in example
        assert parse(example) is not None


@pytest.mark.parametrize(("name", "function"), FUNCTIONS)
def test_the_example_reaches_the_screen(name: str, function: Callable[..., object]) -> None:
    shown = CliRunner().invoke(app, [*name.split()[1:], "--help"])
    assert shown.exit_code == 0
    assert "Example:" in shown.output


def test_the_root_has_one_too() -> None:
    shown = " ".join(CliRunner().invoke(app, ["--help"]).output.split())
    example = shown.partition("Example: ")[2]
    assert parse(example)
