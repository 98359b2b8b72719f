"""The command `narrows search`: what it refuses by name, before it has worked for hours."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
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


def test_a_search_goes_on_with_the_samples_that_it_was_begun_with(data: Path) -> None:
    """Else what is left out at last would have been trained on."""
    begun = ("--check-share", "0.3")
    assert search(data, *begun).exit_code == 0
    for words, said in (
        (("--leave-out", "s5"), "begun with samples '6, s0 to s5"),
        (("--check-share", "0.5"), "begun with check_share 0.3, now 0.5"),
    ):
        done = search(data, *begun, *words)
        assert done.exit_code == 1
        assert said in done.output
    assert search(data, *begun).exit_code == 0
    kept = json.loads((data.parent / "run/config.json").read_text())
    del kept["samples"], kept["check_share"]
    (data.parent / "run/config.json").write_text(json.dumps(kept))
    assert search(data, *begun).exit_code == 0, "of a release that did not note them"


def test_with_nothing_to_judge_on_a_search_ends_before_it_trains(data: Path) -> None:
    """A twentieth of six frames is none: all was trained, and then every score was no number."""
    done = search(data, "--check-share", "0.05")
    assert done.exit_code == 1
    assert "6 pictures to train on and 0 to judge on" in done.output
    for path in (data / "labels/train").iterdir():
        if path.stem != "s0":  # six frames of one drive: their middle is judged on
            Image.fromarray(np.full((64, 96), 2, np.uint8)).save(path)
    done = search(data)
    assert done.exit_code == 1
    assert "5 pictures to train on and 1 to judge on, of which nothing is labelled" in done.output
