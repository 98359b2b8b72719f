"""Whoever is told to stop while it starts ends at once, says so, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from narrows.contract.bundle import Bundle
from orchestrator.servers import LocalRedis
from orchestrator.servers.ports import free_ports
from tests.integration.servers.processes import eventually, members

ROOT = Path(__file__).resolve().parents[3]
ENDS_S = 15.0
"""Far more than any needs, far less than any waits for a part that is not there (30 to 60 s)."""
SLOW_MODEL = "import time\n\nclass TritonPythonModel:\n    def initialize(self, args):\n        time.sleep(600)\n"


@dataclass
class Silent:
    """A server that takes connections and never answers: worse than one that is away."""

    listener: socket.socket
    taken: list[socket.socket] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.listener.getsockname()[1]}/0"

    def take(self) -> None:
        while True:
            try:
                self.taken.append(self.listener.accept()[0])
            except OSError:
                return


@pytest.fixture
def silent() -> Iterator[Silent]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Silent(listener)
        thread = threading.Thread(target=server.take, daemon=True)
        thread.start()
        yield server
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()
    for each in server.taken:
        each.close()


@contextmanager
def started(folder: Path, *command: str) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    log = folder / "log"
    with log.open("wb") as output:
        program = subprocess.Popen(
            [sys.executable, "-m", "narrows.cli", *command],
            cwd=ROOT,
            stdout=output,
            stderr=output,
            env=os.environ | {"NARROWS_CONFIG": os.devnull},
        )
    try:
        yield program, log
    finally:
        program.kill()
        program.wait()


def ends(program: subprocess.Popen[bytes], log: Path, number: signal.Signals) -> None:
    program.send_signal(number)
    try:
        status = program.wait(ENDS_S)
    except subprocess.TimeoutExpired:
        pytest.fail(f"it goes on: {log.read_text()[-2000:]}")
    said = log.read_text()
    assert "Traceback" not in said, said
    assert status == 0, said


def commands(folder: Path) -> dict[str, Callable[[str, Bundle], tuple[str, ...]]]:
    http = f"127.0.0.1:{free_ports(1)[0]}"
    listening = ("--http", http)
    return {
        "orchestrate": lambda url, bundle: (
            *("orchestrate", "--redis-url", url, "--triton", "127.0.0.1:1", "--bundle", str(bundle.folder)),
            *listening,
        ),
        "autoscale": lambda url, _: ("autoscale", "--engine", "none", "--redis-url", url, *listening),
        "supervise": lambda url, bundle: (
            *("supervise", "--redis-url", url, "--name", "host", "--bundle", str(bundle.folder)),
            *("--run-folder", str(folder / "run")),
        ),
        "page": lambda url, bundle: (
            *("page", "--redis-url", url, "--bundle", str(bundle.folder), "--listen", http),
            *("--orchestrator", "http://127.0.0.1:1"),
        ),
        "edge": lambda url, bundle: (
            *("edge", "--redis-url", url, "--stream-id", "cam-1", "--bundle", str(bundle.folder)),
            *("--source", str(ROOT / "samples" / "images" / "val"), "--state-dir", str(folder / "state")),
        ),
    }


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("name", ["orchestrate", "autoscale", "supervise", "page", "edge"])
def test_a_program_that_waits_for_redis_ends_when_it_is_told_to(
    tmp_path: Path, silent: Silent, demo_bundle: Bundle, name: str, number: signal.Signals
) -> None:
    command = commands(tmp_path)[name](silent.url, demo_bundle)
    with started(tmp_path, *command) as (program, log):
        assert eventually(lambda: bool(silent.taken) or program.poll() is not None, 60), log.read_text()
        ends(program, log, number)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LocalRedis]:
    with LocalRedis.start(tmp_path) as redis:
        yield redis


def test_a_dispatcher_that_waits_for_triton_ends_when_it_is_told_to(
    tmp_path: Path, server: LocalRedis, demo_bundle: Bundle
) -> None:
    command = commands(tmp_path)["orchestrate"](server.url, demo_bundle)
    with started(tmp_path, *command) as (program, log):
        assert eventually(lambda: "triton_away" in log.read_text(), 60), log.read_text()
        ends(program, log, signal.SIGTERM)


def test_a_supervisor_whose_server_loads_for_minutes_ends_it_when_it_is_told_to(
    tmp_path: Path, server: LocalRedis
) -> None:
    """The real tritonserver, with a model that is not loaded before ten minutes are over."""
    model = tmp_path / "models" / "slow"
    (model / "1").mkdir(parents=True)
    (model / "1" / "model.py").write_text(SLOW_MODEL)
    (model / "config.pbtxt").write_text('backend: "python"\nmax_batch_size: 0\n')
    options = ("--model-repository", str(tmp_path / "models"), "--model", "slow", "--run-folder", str(tmp_path / "run"))
    with started(tmp_path, "supervise", "--redis-url", server.url, "--name", "host", *options) as (program, log):
        triton_log = tmp_path / "run" / "host" / "slot-0" / "triton" / "triton.log"
        assert eventually(lambda: triton_log.is_file() and "slow" in triton_log.read_text(), 60), log.read_text()
        guardians = [int(pid) for pid in _children(program.pid)]
        ends(program, log, signal.SIGTERM)
    assert guardians
    assert eventually(lambda: not any(members(pid) for pid in guardians))


def _children(pid: int) -> list[str]:
    return [each for task in Path(f"/proc/{pid}/task").iterdir() for each in (task / "children").read_text().split()]


def test_a_camera_whose_stream_is_away_ends_when_it_is_told_to(tmp_path: Path, demo_bundle: Bundle) -> None:
    address = f"rtsp://127.0.0.1:{free_ports(1)[0]}/cam"
    command = ("edge", "--redis-url", "redis://127.0.0.1:1/0", "--stream-id", "cam-1", "--shards", "4")
    options = ("--bundle", str(demo_bundle.folder), "--source", address, "--state-dir", str(tmp_path / "state"))
    with started(tmp_path, *command, *options) as (program, log):
        assert eventually(lambda: "away" in log.read_text() or program.poll() is not None, 60), log.read_text()
        ends(program, log, signal.SIGTERM)
