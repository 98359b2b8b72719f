"""``narrows local-redis`` as a person types it."""

import signal
import subprocess
import sys
from pathlib import Path

import redis

from orchestrator.servers.ports import free_ports


def command(port: int, folder: Path) -> list[str]:
    return [sys.executable, "-m", "narrows.cli", "local-redis", "--port", str(port), "--run-folder", str(folder)]


def test_it_answers_with_the_settings_that_narrows_needs_and_keeps_what_it_has(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    for kept in (None, b"kept"):
        with subprocess.Popen(command(port, tmp_path), stdout=subprocess.PIPE, text=True) as begun:
            assert begun.stdout is not None
            assert begun.stdout.readline().startswith(f"redis://127.0.0.1:{port}/0 answers; ")
            with redis.Redis(port=port) as client:
                assert client.get("what") == kept
                client.set("what", "kept")
                settings = client.config_get("maxmemory-policy", "appendonly", "bind")
            begun.send_signal(signal.SIGTERM)
        assert begun.returncode == 0
        assert settings == {"maxmemory-policy": "noeviction", "appendonly": "yes", "bind": "127.0.0.1"}


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    with subprocess.Popen(command(port, tmp_path / "one"), stdout=subprocess.PIPE, text=True) as begun:
        assert begun.stdout is not None
        begun.stdout.readline()
        other = subprocess.run(command(port, tmp_path / "two"), capture_output=True, text=True, timeout=60, check=False)
        begun.terminate()
    assert other.returncode == 1
    assert "the local Redis does not start" in other.stderr
    assert "Traceback" not in other.stderr
