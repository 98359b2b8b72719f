"""The root of the command line: light to import, one line for a named error, the extra named that is missing."""

from __future__ import annotations

import subprocess
import sys

import pytest

from narrows import __version__
from narrows.cli.commands import COMMANDS
from narrows.runtime.words import counted

HEAVY = ("torch", "onnxruntime", "tritonclient", "redis", "numpy", "edge_client", "orchestrator", "narrows.ops.demo")


def narrows(*arguments: str, before: str = "") -> subprocess.CompletedProcess[str]:
    """``narrows ARGUMENTS`` in a process of its own, after a line of preparation."""
    code = f"import sys\nsys.argv = ['narrows', *{list(arguments)!r}]\n{before}\nfrom narrows.cli import main\nmain()"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)


def hide(module: str) -> str:
    """A line that makes a module look as if it were not installed."""
    return (
        "import importlib.abc\n"
        "class Hide(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.partition('.')[0] == {module!r}:\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Hide())"
    )


def test_help_names_every_command() -> None:
    shown = narrows("--help")
    assert shown.returncode == 0
    assert all(command.name in shown.stdout for command in COMMANDS)


@pytest.mark.parametrize("group", ["bundle", "config", "keys", "masks", "scale", "streams"])
def test_every_group_answers_to_both_words_for_help_with_the_same(group: str) -> None:
    short, long = narrows(group, "-h"), narrows(group, "--help")
    assert (short.returncode, short.stdout) == (0, long.stdout)
    assert "--install-completion" not in short.stdout


def test_help_imports_nothing_heavy() -> None:
    report = "import atexit\natexit.register(lambda: print('LOADED', *sorted(sys.modules)))"
    loaded = narrows("--help", before=report).stdout.partition("LOADED")[2].split()
    assert "narrows.cli.root" in loaded
    assert not {name for name in HEAVY if name in loaded}


def test_the_version_is_printed() -> None:
    assert narrows("--version").stdout == f"narrows {__version__}\n"


@pytest.mark.parametrize("command", [command.name for command in COMMANDS])
def test_every_command_explains_itself(command: str) -> None:
    shown = narrows(command, "--help")
    assert shown.returncode == 0, shown.stderr
    assert f"narrows {command}" in shown.stdout


def test_an_unknown_command_is_a_usage_error() -> None:
    assert narrows("paint").returncode == 2


def test_an_unknown_option_of_a_command_is_a_usage_error_of_that_command() -> None:
    shown = narrows("streams", "list", "--colour")
    assert shown.returncode == 2
    assert "--colour" in shown.stderr


def test_a_named_error_is_one_line_on_stderr_and_exit_code_1() -> None:
    shown = narrows("streams", "list", "--redis-url", "redis://127.0.0.1:1/0")
    assert shown.returncode == 1
    assert shown.stdout == ""
    assert shown.stderr.startswith("narrows: Redis at redis://127.0.0.1:1/0 does not answer")
    assert shown.stderr.count("\n") == 1


def test_what_an_error_repeats_of_others_moves_no_cursor() -> None:
    shown = narrows("bundle", "show", "no\x1b[2Jfolder")
    assert shown.returncode == 1
    assert shown.stderr.startswith("narrows: ")
    assert r"no\x1b[2Jfolder" in shown.stderr


@pytest.mark.parametrize(
    ("module", "extra", "arguments"),
    [
        ("onnxruntime", "edge", ["edge", "--source", "samples", "--stream-id", "a", "--redis-url", "redis://h"]),
        ("tritonclient", "cloud", ["orchestrate"]),
        ("onnx", "train", ["head", "add", "runs/mine"]),
    ],
)
def test_a_missing_extra_is_named(module: str, extra: str, arguments: list[str]) -> None:
    shown = narrows(*arguments, "--bundle", "bundles/demo", before=hide(module))
    assert shown.returncode == 1
    assert f"pip install 'narrows[{extra}]'" in shown.stderr
    assert shown.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["edge", "orchestrate", "masks", "streams", "demo"])
def test_no_running_service_needs_torch(command: str) -> None:
    assert narrows(command, "--help", before=hide("torch")).returncode == 0


def test_the_camera_needs_no_triton_client() -> None:
    shown = narrows("edge", "--help", before=hide("tritonclient"))
    assert shown.returncode == 0


def test_ctrl_c_ends_a_command_with_130_and_no_traceback() -> None:
    interrupt = "import narrows.cli.streams as s\ndef stop(_): raise KeyboardInterrupt\ns.open_registry = stop"
    shown = narrows("streams", "list", before=interrupt)
    assert (shown.returncode, shown.stderr) == (130, "")


def test_the_configuration_is_read_where_only_the_cameras_program_is_installed() -> None:
    code = (
        "import sys\n"
        "for name in ('hiredis', 'aiohttp', 'uvloop', 'tritonclient', 'prometheus_client', 'torch', 'docker'):\n"
        "    sys.modules[name] = None\n"
        "from narrows.cli.sections import all_keys\n"
        "print(sum(key.section == 'edge' for key in all_keys()) > 5)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "True", done.stderr


def test_a_wrong_choice_is_named_in_our_words() -> None:
    done = narrows("streams", "list", "--sort", "nothing")
    assert done.returncode == 2
    said = " ".join(done.stderr.replace("│", " ").split())
    assert "'nothing' is not one of 'name', 'offered', 'skipped'" in said
    assert "Value error" not in said


def test_the_help_of_a_camera_says_what_a_preview_needs_not() -> None:
    said = " ".join(narrows("edge", "--help").stdout.replace("│", " ").split())
    assert said.count("[required]") == 1
    assert said.count("Required, unless --preview is given.") == 3


def test_a_number_of_one_is_in_the_singular() -> None:
    assert [counted(number, "stream") for number in (0, 1, 2)] == ["0 streams", "1 stream", "2 streams"]
