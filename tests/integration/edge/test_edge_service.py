"""The camera's program as a systemd service: the unit, and what systemd hears."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import redis

from narrows.contract.bundle import Bundle
from narrows.contract.wire import Install
from narrows.contract.wire.keys import INSTALL_KEY
from orchestrator.servers.local_redis import LocalRedis

ROOT = Path(__file__).resolve().parents[3]
UNIT = ROOT / "deploy" / "narrows-edge.service"


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit with a program that is there."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("there is no systemd-analyze")
    text = UNIT.read_text().replace("/opt/narrows/.venv/bin/narrows", sys.executable)
    copy = tmp_path / UNIT.name
    copy.write_text("".join(line for line in text.splitlines(keepends=True) if not line.startswith("Documentation")))
    return copy


def analyse(*arguments: str) -> str:
    done = subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stderr


def test_systemd_finds_nothing_wrong_with_the_unit(unit: Path) -> None:
    assert analyse("verify", str(unit)) == ""


def test_the_unit_leaves_little_to_attack(unit: Path) -> None:
    analyse("security", "--offline=true", "--no-pager", "--threshold=20", str(unit))


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[socket.socket]:
    """What stands where systemd does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(60)
        yield listener


def drain(listener: socket.socket) -> None:
    listener.setblocking(False)
    with suppress(BlockingIOError):
        while listener.recv(100):
            pass


def test_systemd_hears_that_it_is_ready_that_it_lives_and_that_it_ends(
    tmp_path: Path, systemd: socket.socket, server: LocalRedis, admin: redis.Redis, bundle: Bundle, samples: Path
) -> None:
    admin.set(INSTALL_KEY, Install(4).to_json())
    command = [sys.executable, "-m", "narrows.cli", "edge", "--source", str(samples), "--stream-id", "cam-1", "--loop"]
    command += ["--redis-url", server.url, "--bundle", str(bundle.folder), "--state-dir", str(tmp_path / "state")]
    told = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "1000000", "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, env={**os.environ, **told}, stderr=subprocess.DEVNULL) as process:
        heard = [systemd.recv(100)]
        while heard.count(b"WATCHDOG=1") < 4 or b"READY=1" not in heard:
            heard.append(systemd.recv(100))
        process.send_signal(signal.SIGSTOP)
        time.sleep(0.5)
        drain(systemd)
        systemd.settimeout(2.5)
        with pytest.raises(TimeoutError):
            systemd.recv(100)
        systemd.settimeout(60)
        process.send_signal(signal.SIGCONT)
        process.send_signal(signal.SIGTERM)
        while heard[-1] != b"STOPPING=1":
            heard.append(systemd.recv(100))
        assert process.wait(60) == 0
