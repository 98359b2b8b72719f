"""What a control group's processes used is the sum of their times, and of those that they outlived."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.servers.cpu_use import used_s

STAT = "{pid} (a (odd) name) S 1 2 3 4 5 6 7 8 9 10 {utime} {stime} {cutime} {cstime} 15 16 17 18 19 20"
TICKS = os.sysconf("SC_CLK_TCK")


def test_times_of_all_processes_add_up(tmp_path: Path) -> None:
    (tmp_path / "cgroup.procs").write_text("11\n12\n13\n")
    for pid, ticks in ((11, (100, 20, 3, 4)), (12, (50, 0, 0, 0))):
        folder = tmp_path / str(pid)
        folder.mkdir()
        names = ("utime", "stime", "cutime", "cstime")
        (folder / "stat").write_text(STAT.format(pid=pid, **dict(zip(names, ticks, strict=True))))
    assert used_s(tmp_path, processes=tmp_path) == pytest.approx(177 / TICKS), "13 has just ended"


def test_a_group_that_is_gone_used_nothing(tmp_path: Path) -> None:
    assert used_s(tmp_path / "gone") == 0.0


def test_a_real_process_that_works_is_seen(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        try:
            (tmp_path / "cgroup.procs").write_text(f"{process.pid}\n")
            before_s = used_s(tmp_path)
            while used_s(tmp_path) < before_s + 0.1:
                pass
        finally:
            process.kill()
    assert used_s(tmp_path) == 0.0
