"""What a command cannot write is said before it begins to work."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from narrows.cli.root import app

NOTHING = "nowhere"
"""No input of these commands is there, and they do not come so far as to say so."""


@pytest.mark.parametrize(
    "words",
    [
        ["evaluate", "--data", NOTHING, "--json", "file/result.json"],
        ["simulate-scaling", "--json", "folder"],
        ["bench-device", NOTHING, "--json", "file/result.json"],
        ["bundle", "recount", NOTHING, "--data", NOTHING, "--out", "file"],
        ["bundle", "optimise", NOTHING, "--data", NOTHING, "--out", "file/deeper"],
        ["bundle", "camera-masks", NOTHING, "--data", NOTHING, "--out", "file"],
        ["export", "--run", NOTHING, "--data", NOTHING, "--out", "file"],
        ["compress", "--data", NOTHING, "--out", "file"],
        ["pseudo-label", "--pictures", NOTHING, "--out", "file"],
        ["compare", "--report", "folder"],
        ["promptable", "evaluate", "--data", NOTHING, "--layout", "regions", "--split", "a", "--json", "folder"],
        ["promptable", "segment", NOTHING, "--network", NOTHING, "--out", "file/a.png"],
        ["promptable", "export", "--run", NOTHING, "--out", "file"],
        ["demo", "--report", "folder"],
    ],
)
def test_what_cannot_be_written_is_said_first(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    outcome = CliRunner().invoke(app, words)
    assert outcome.exit_code == 1, outcome.output
    said = outcome.output + capfd.readouterr().err
    assert "is a folder: name a file in it" in said or "is a file: name a folder" in said or "is no folder" in said
    assert NOTHING not in said


@pytest.mark.parametrize("name", ["seen", "seen.xyz", "seen.onnx"])
def test_a_picture_of_no_format_is_said_first(name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    words = ["promptable", "segment", NOTHING, "--network", NOTHING, "--out", str(tmp_path / name)]
    outcome = CliRunner().invoke(app, words)
    assert outcome.exit_code == 1, outcome.output
    said = outcome.output + capfd.readouterr().err
    assert f"{name} names no picture: end it with .png, .jpg or .webp" in said
