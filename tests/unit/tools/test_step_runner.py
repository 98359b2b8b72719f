import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tools.step_runner import StepFailed, run_step

SLOW = "import time; time.sleep(1.3)"


def test_a_step_says_what_it_is_and_how_long_it_took(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    took_s = run_step("install", [sys.executable, "-c", "pass"], tmp_path)
    assert took_s > 0
    assert capsys.readouterr().out == f"install ... {took_s:.0f} s\n"


def test_a_failed_step_shows_its_words_and_its_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(StepFailed, match=r"-c .*\n.*no such thing"):
        run_step("install", [sys.executable, "-c", "raise SystemExit('no such thing')"], tmp_path)
    assert capsys.readouterr().out == "install ... failed\n"


def test_a_terminal_sees_the_seconds_go_by() -> None:
    ours, theirs = pty.openpty()
    step = f"run_step('install', [sys.executable, '-c', {SLOW!r}], Path('.'))"
    code = f"import sys; from pathlib import Path; from tools.step_runner import run_step; {step}"
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[3], stdout=theirs, check=True)
    os.close(theirs)
    shown = os.read(ours, 4096)
    os.close(ours)
    assert shown.count(b"\r\x1b[Kinstall ... ") >= 3
