"""What the set-up says before anything is installed: to old Pythons, and of steps that failed."""

import ast
from dataclasses import replace
from pathlib import Path

import pytest

from narrows.ops.doctor.machine import OLDEST_PYTHON, HostMachine, problems
from tools import setup, setup_environment
from tools.environments import Environment
from tools.setup import remedies, version_of

ENTRY = Path(setup_environment.__file__)
PACKAGE = ENTRY.with_name("__init__.py")


@pytest.mark.parametrize("read", [PACKAGE, ENTRY], ids=lambda path: path.name)
def test_an_old_python_can_read_what_it_reads_first(read: Path) -> None:
    tree = ast.parse(read.read_bytes().decode("ascii"), feature_version=(3, 4))
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported <= {"tools.setup"}
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.AnnAssign | ast.JoinedStr)]
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


def test_an_old_python_is_told_what_a_newer_one_would_be_told() -> None:
    (problem,) = problems(
        replace(HostMachine.look(), python=(3, 6), system="Linux", architecture="x86_64", glibc=(2, 36))
    )
    assert setup_environment.OLDEST == OLDEST_PYTHON
    (told,) = [
        each.value
        for each in ast.walk(ast.parse(ENTRY.read_text()))
        if isinstance(each, ast.Constant) and isinstance(each.value, str) and "cannot run" in each.value
    ]
    assert told % (3, 6) == f"This machine cannot run Narrows yet:\n  - {problem}\n"


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        ("OSError: [Errno 28] No space left on device", "disk is full"),
        ("NewConnectionError: Failed to establish a new connection: [Errno 111] Connection refused", "HTTPS_PROXY"),
        ("Temporary failure in name resolution", "PIP_INDEX_URL"),
        ("WARNING: Retrying (Retry(total=4)) ... Read timed out. (read timeout=15)", "registry"),
    ],
)
def test_a_failure_that_is_not_ours_has_a_remedy(words: str, remedy: str) -> None:
    (said,) = remedies(words)
    assert remedy in said


def test_another_failure_speaks_for_itself() -> None:
    assert remedies("error: subprocess-exited-with-error") == []


@pytest.mark.parametrize("line", ["version = 3.11.7", "version_info = 3.11.7"])
def test_the_python_of_an_environment_is_read_of_its_configuration(tmp_path: Path, line: str) -> None:
    (tmp_path / "pyvenv.cfg").write_text(f"home = /usr/bin\n{line}\n")
    assert version_of(tmp_path) == "3.11.7"


def test_where_there_is_no_environment_there_is_no_version(tmp_path: Path) -> None:
    assert version_of(tmp_path) is None


def test_a_full_disk_is_said_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(_environments: object, *, keep_python: bool) -> None:
        raise OSError(28, "No space left on device", "narrows-setup.stamp")

    monkeypatch.setattr(setup, "planned", lambda **_: [Environment(".none", (), ())])
    monkeypatch.setattr(setup, "problems", lambda _: [])
    monkeypatch.setattr(setup, "_make_all", full)
    monkeypatch.setattr("sys.argv", ["setup"])
    assert setup.main() == 1
    assert "the disk is full" in capsys.readouterr().out
