import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from narrows.contract.errors import ServiceError
from orchestrator.servers import Guarded
from tests.integration.servers.processes import alive, eventually, members, shared_memory_of

FAMILY = """
import os, pathlib, subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
pathlib.Path("/dev/shm", os.environ["NARROWS_SHM_PREFIX"] + "left").touch()
print("up", flush=True)
time.sleep(600)
"""
STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", flush=True)
time.sleep(600)
"""
OWNER = """
import json, pathlib, sys, time
from orchestrator.servers import Guarded
log, code = pathlib.Path(sys.argv[1]), sys.argv[2]
child = Guarded.start([sys.executable, "-c", code], log=log)
while "up" not in log.read_text():
    time.sleep(0.01)
print(json.dumps([child.pid, child.shm_prefix]), flush=True)
time.sleep(600)
"""
FORKING = OWNER.replace("print(json", "import os\nif os.fork() == 0:\n    time.sleep(600)\nprint(json")


def python(code: str, log: Path, *, grace_s: float = 5.0) -> Guarded:
    child = Guarded.start([sys.executable, "-c", code], log=log, grace_s=grace_s)
    assert eventually(lambda: bool(log.read_text()) or child.poll() is not None)
    return child


def test_the_exit_status_is_the_childs(tmp_path: Path) -> None:
    with python("print('done', flush=True); raise SystemExit(7)", tmp_path / "log") as child:
        assert child.wait(20) == 7
        assert child.poll() == 7
    assert child.tail() == "done"


def test_a_signal_that_ends_the_child_shows_in_its_status(tmp_path: Path) -> None:
    with python("print('up', flush=True); import time; time.sleep(600)", tmp_path / "log") as child:
        os.kill(child.pid, signal.SIGKILL)
        assert child.wait(20) == 128 + signal.SIGKILL


def test_stopping_ends_the_child_its_children_and_its_shared_memory(tmp_path: Path) -> None:
    child = python(FAMILY, tmp_path / "log")
    assert len(members(child.pid)) == 2
    assert shared_memory_of(child.shm_prefix)
    child.stop()
    assert members(child.pid) == []
    assert shared_memory_of(child.shm_prefix) == []
    child.stop()


def test_a_child_that_ends_by_itself_leaves_no_children_either(tmp_path: Path) -> None:
    child = python(FAMILY.replace("time.sleep(600)\n", "\n"), tmp_path / "log")
    assert child.wait(20) == 0
    assert members(child.pid) == []
    assert shared_memory_of(child.shm_prefix) == []


def test_a_child_that_ignores_the_request_is_killed_after_its_grace(tmp_path: Path) -> None:
    child = python(STUBBORN, tmp_path / "log", grace_s=0.1)
    assert child.stop() == 128 + signal.SIGKILL
    assert not alive(child.pid)


def test_a_program_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match="no-such-program"):
        Guarded.start(["/no-such-program"], log=tmp_path / "log")


def test_the_child_has_its_own_variables_and_the_guardian_has_not(tmp_path: Path) -> None:
    code = "import os; print(os.environ['COLOUR'], os.environ['HOME'], flush=True)"
    with Guarded.start([sys.executable, "-c", code], log=tmp_path / "log", environment={"COLOUR": "a=b c"}) as child:
        assert child.wait(20) == 0
    assert child.tail() == f"a=b c {os.environ['HOME']}"
    assert "COLOUR" not in os.environ


def test_ctrl_c_in_the_terminal_reaches_neither_guardian_nor_child(tmp_path: Path) -> None:
    with python(FAMILY, tmp_path / "log") as child:
        assert os.getsid(child.pid) == child.pid
        assert child.pid != os.getpgrp()
        (guardian,) = [pid for pid in children_of(os.getpid()) if pid in parents_of(child.pid)]
        assert os.getsid(guardian) == guardian


@pytest.mark.parametrize("owner_code", [OWNER, FORKING], ids=["alone", "with a forked worker that lives on"])
def test_a_killed_owner_leaves_nothing_behind(tmp_path: Path, owner_code: str) -> None:
    command = [sys.executable, "-c", owner_code, str(tmp_path / "log"), FAMILY]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as owner:
        assert owner.stdout is not None
        child, prefix = json.loads(owner.stdout.readline())
        assert len(members(child)) == 2
        owner.kill()
        owner.wait()
        assert eventually(lambda: not members(child))
        assert eventually(lambda: not shared_memory_of(prefix))
        for worker in members(owner.pid):
            os.kill(worker, signal.SIGKILL)


def test_a_killed_guardian_does_not_save_the_child_from_its_owner(tmp_path: Path) -> None:
    child = python(FAMILY, tmp_path / "log")
    (guardian,) = parents_of(child.pid)
    os.kill(guardian, signal.SIGKILL)
    child.stop()
    assert eventually(lambda: not members(child.pid))
    assert shared_memory_of(child.shm_prefix) == []


def parents_of(pid: int) -> list[int]:
    return [int(Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[1])]


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
