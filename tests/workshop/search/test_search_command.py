"""The command `narrows search`: what it refuses by name, before it has worked for hours."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from narrows.cli.root import app
from tests.workshop.export.small_data import made_up

CLASSES = {"classes": ["a", "b", "void"], "ignore_index": 2, "palette": [[0, 0, 0]] * 3}
UNMEASURED = ("--operators", "Conv", "--trials", "1", "--train", "0", "--batch", "2")
"""No network has convolutions alone, so none is measured."""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return made_up(tmp_path / "data", 3, CLASSES).root


def search(data: Path, *words: str) -> Result:
    given = ("search", "--data", str(data), "--run", str(data.parent / "run"), *UNMEASURED, *words)
    return CliRunner().invoke(app, given)


@pytest.mark.parametrize(
    ("option", "value"), [("--latency-ms", "0"), ("--peak-kb", "0.0001"), ("--weights-kb", "0"), ("--mmac", "0")]
)
def test_a_limit_of_nothing_is_refused_by_name(data: Path, option: str, value: str) -> None:
    done = search(data, option, value)
    assert done.exit_code == 1
    assert "a limit of 0" in done.output
    assert not (data.parent / "run").exists()
