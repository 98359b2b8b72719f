"""An option that was renamed still has its former name for one release, hidden."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from narrows.cli.root import app
from narrows.cli.sections import all_keys

DISPATCH, HOST, SCALING = (
    "orchestrator.dispatch.program.run_dispatcher",
    "orchestrator.servers.host_program.run_host",
    "orchestrator.scaling.program.run_autoscale",
)
# command, what it needs, the function that it calls, the present name, its default, the former variable
RENAMED = [
    ("orchestrate", ["--bundle", "x"], DISPATCH, "max-inflight-batches", 8, "NARROWS_SLOTS"),
    ("supervise", [], HOST, "max-servers-per-host", 1, "NARROWS_SUPERVISE_SLOTS"),
    ("autoscale", [], SCALING, "max-servers-per-host", None, "NARROWS_AUTOSCALE_SLOTS"),
]  # fmt: skip
COMMANDS = pytest.mark.parametrize(
    ("command", "needs", "called", "option", "default", "variable"), RENAMED, ids=[row[0] for row in RENAMED]
)


class Called:
    """Takes the place of what a command calls, and keeps what it was called with."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, called: str, folder: Path) -> None:
        self.slots: Any = "not called"
        monkeypatch.setattr(called, self._take)
        monkeypatch.chdir(folder)

    def run(self, *words: str, **environment: str) -> str:
        done = CliRunner().invoke(app, list(words), env=environment)
        assert done.exit_code == 0, done.output
        return " ".join(done.stderr.split())

    def _take(self, options: Any, *_rest: Any) -> None:
        self.slots = options.engine_options.slots if hasattr(options, "engine_options") else options.slots


@COMMANDS
def test_both_names_are_taken_and_the_present_one_wins(
    command: str, needs: list[str], called: str, option: str, default: int | None, variable: str,
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
) -> None:  # fmt: skip
    got = Called(monkeypatch, called, tmp_path)
    assert (got.run(command, *needs), got.slots) == ("", default)
    assert (got.run(command, *needs, f"--{option}", "3"), got.slots) == ("", 3)
    said = f"--slots is called --{option} now"
    assert said in got.run(command, *needs, "--slots", "4")
    assert got.slots == 4
    assert said in got.run(command, *needs, **{variable: "5"})
    assert got.slots == 5
    got.run(command, *needs, f"--{option}", "6", "--slots", "7")
    assert got.slots == 6
    (tmp_path / "narrows.toml").write_text(f"[{command}]\nslots = 9\n")
    assert said in got.run(command, *needs)
    assert got.slots == 9
    got.run(command, *needs, f"--{option}", f"{default or 2}", "--slots", "7")
    assert got.slots == (default or 2)


@COMMANDS
def test_help_and_the_page_of_keys_have_the_present_name_alone(
    command: str, needs: list[str], called: str, option: str, default: int | None, variable: str
) -> None:
    shown = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200"}).output
    assert f"--{option}" in shown
    assert "--slots" not in shown
    hidden = {key.name: key.hidden for key in all_keys() if key.section == command}
    assert (hidden["slots"], hidden[option]) == (True, False)
    page = CliRunner().invoke(app, ["config", "keys"]).output
    assert variable not in page


@COMMANDS
def test_the_former_name_has_the_same_bounds(
    command: str, needs: list[str], called: str, option: str, default: int | None, variable: str
) -> None:
    present, former = (
        next(key for key in all_keys() if (key.section, key.name) == (command, name)) for name in (option, "slots")
    )
    assert (former.lowest, former.highest, former.kind) == (present.lowest, present.highest, present.kind)
    assert former.variable == variable
