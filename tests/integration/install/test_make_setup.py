"""``make setup`` in a small checkout of its own: with several Pythons, into a pipe, interrupted."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SMALL = """

def planned(*, dev: bool, train: bool, compiler: bool, lowest: bool, engines: bool, peers: bool) -> list[Environment]:
    return [Environment(".venv", (Step("one step", ("-c", "import time; time.sleep(%s)")),), ("limits.txt",))]
"""
_OF_THE_CALLER = {"PYTHON", "PYTHONPATH", "MAKEFLAGS", "MAKELEVEL", "MFLAGS"}
"""What a `make test` around this would tell the `make setup` here."""
OLD = ("2.7", "3.6", "3.7", "3.8", "3.9", "3.10")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The real Makefile and set-up, with one small environment, in a folder with a space and a letter beyond ASCII."""
    tmp_path = tmp_path / "une caméra"
    for name in ("tools/__init__.py", "tools/setup.py", "tools/setup_environment.py", "tools/step_runner.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "narrows", tmp_path / "narrows")
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "limits.txt").write_text("1\n")
    plan(tmp_path, sleep_s=0)
    return tmp_path


def plan(checkout: Path, sleep_s: float) -> None:
    """Have a step that takes so long."""
    (checkout / "tools/environments.py").write_text((ROOT / "tools/environments.py").read_text() + SMALL % sleep_s)


def setup(checkout: Path, *words: str, path: str = "") -> tuple[int, str]:
    """The exit status and what a pipe gets of both outputs."""
    environment = {name: value for name, value in os.environ.items() if name not in _OF_THE_CALLER}
    environment["PATH"] = os.pathsep.join(filter(None, [path, environment["PATH"]]))
    done = subprocess.run(
        ["make", "setup", *words], cwd=checkout, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        check=False,
    )  # fmt: skip
    return done.returncode, done.stdout.decode()


def python_of(version: str, code: str = "") -> str:
    """A Python of that version on the path or of pyenv that can run ``code``; skips where there is none."""
    pyenv = Path.home() / ".pyenv/versions"
    found = [shutil.which(f"python{version}"), *map(str, sorted(pyenv.glob(f"{version}.*/bin/python{version}")))]
    for python in filter(None, found):
        if subprocess.run([python, "-c", code], capture_output=True, check=False).returncode == 0:
            return python
    pytest.skip(f"there is no Python {version} here")


def another_python() -> str:
    """A supported Python besides this one."""
    return python_of("3.12" if sys.version_info[:2] == (3, 11) else "3.11", "import ensurepip")


def version_in(checkout: Path) -> str:
    python = checkout / ".venv/bin/python"
    return subprocess.check_output([python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"], text=True)


def test_into_a_pipe_it_prints_a_line_a_step_and_nothing_the_second_time(checkout: Path) -> None:
    status, printed = setup(checkout, f"PYTHON={sys.executable}")
    assert status == 0, printed
    assert re.fullmatch(
        r"\.venv: create the environment \.\.\. \d+ s\n\.venv: one step \.\.\. \d+ s\n", printed
    ), printed  # fmt: skip
    assert setup(checkout, f"PYTHON={sys.executable}") == (0, "")


def test_only_a_python_that_is_named_replaces_that_of_an_environment_and_says_so(checkout: Path) -> None:
    other = another_python()
    (checkout / "bin").mkdir()
    (checkout / "bin/python3").symlink_to(other)
    setup(checkout, f"PYTHON={sys.executable}")
    before = version_in(checkout)

    assert setup(checkout, path=str(checkout / "bin")) == (0, "")
    (checkout / "limits.txt").write_text("2\n")
    status, printed = setup(checkout, path=str(checkout / "bin"))
    assert status == 0
    assert "made anew" not in printed
    assert version_in(checkout) == before

    status, printed = setup(checkout, f"PYTHON={other}")
    assert status == 0
    assert re.match(rf"\.venv has Python {before.strip()}\.\d+: it is made anew with 3\.\d+\.\d+, /", printed), printed
    assert version_in(checkout) != before


def test_interrupted_it_says_so_and_goes_on_the_next_time(checkout: Path) -> None:
    setup(checkout, f"PYTHON={sys.executable}")
    plan(checkout, sleep_s=60)
    command = [sys.executable, "-m", "tools.setup_environment"]
    with subprocess.Popen(
        command, cwd=checkout, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    ) as begun:
        assert begun.stdout is not None
        os.read(begun.stdout.fileno(), 1)  # its step has begun
        time.sleep(0.2)
        os.killpg(begun.pid, signal.SIGINT)
        printed = begun.stdout.read().decode()
    assert begun.returncode == 130
    assert "Traceback" not in printed
    assert "run it again" in printed
    plan(checkout, sleep_s=0)
    assert setup(checkout, f"PYTHON={sys.executable}")[0] == 0


@pytest.mark.parametrize("version", OLD)
def test_an_old_python_is_told_which_is_needed(checkout: Path, version: str) -> None:
    status, printed = setup(checkout, f"PYTHON={python_of(version)}")
    assert status != 0
    said, end = printed.splitlines()[1:]
    assert said.startswith(f"  - this is Python {version}; 3.11 to 3.12 is needed: apt-get install python3.11 ")
    assert end.startswith("make: ***")
