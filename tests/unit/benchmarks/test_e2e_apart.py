"""A run in namespaces of its own leaves nothing: no process, no folder; and says what it needs first."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.e2e import apart

MARK = "98765.4321"
RUN = (
    "from benchmarks.e2e.apart import run_apart, stop_by_signals\n"
    "stop_by_signals()\n"
    f"run_apart('tests.unit.benchmarks.sleeps_apart', '{MARK}')\n"
)
ROOT = Path(__file__).parents[3]


def _sleeping() -> bool:
    """Whether the grandchild is there, by its command line."""
    found = subprocess.run(["pgrep", "-f", f"^sleep {MARK}"], capture_output=True, check=False)
    return found.returncode == 0


def _until(*, sleeping: bool) -> None:
    until_s = time.monotonic() + 60
    while _sleeping() != sleeping:
        assert time.monotonic() < until_s
        time.sleep(0.1)


@pytest.mark.skipif(bool(apart.missing()), reason="needs root and unshare")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_what_it_started_ends_with_it(how: signal.Signals) -> None:
    if subprocess.run(["unshare", "--net", "--pid", "--fork", "true"], check=False).returncode:
        pytest.skip("unshare is refused here")
    with subprocess.Popen([sys.executable, "-c", RUN], cwd=ROOT, stderr=subprocess.DEVNULL) as run:
        _until(sleeping=True)
        run.send_signal(how)
        assert run.wait(60) != 0
    _until(sleeping=False)


def test_its_folder_is_removed_when_it_fails(tmp_path: Path) -> None:
    def fails() -> None:
        with apart.run_folder(tmp_path) as folder:
            (folder / "deep" / "er").mkdir(parents=True)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fails()
    assert list(tmp_path.iterdir()) == []


def test_it_names_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda name: None if name in ("unshare", "apt-get") else f"/usr/bin/{name}")
    assert apart.missing() == "unshare, apt-get"
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert apart.missing() == "root"
