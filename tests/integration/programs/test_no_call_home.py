"""Nothing here talks to anybody whom the operator did not name, and nothing is written below the home folder."""

from __future__ import annotations

import ipaddress
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
STRACE = shutil.which("strace")
INTERNET = re.compile(r'sa_family=AF_INET6?, sin6?_port=htons\((\d+)\).*?(?:inet_addr\(|AF_INET6, )"([0-9a-f.:]+)"')
needs_strace = pytest.mark.skipif(STRACE is None, reason="strace is not installed: apt-get install strace")
pytestmark = pytest.mark.timeout(300)


def contacted(trace: str) -> set[str]:
    """``address:port`` of every peer beyond this machine that a trace shows; a name server is one on any address."""
    peers = {(address, int(port)) for port, address in INTERNET.findall(trace)}
    return {f"{address}:{port}" for address, port in peers if port == 53 or not _here(address)}


def _here(text: str) -> bool:
    address = ipaddress.ip_address(text)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def traced(command: list[str], folder: Path) -> tuple[str, list[Path]]:
    """What a program and all that it starts said to whom, and what it left in a fresh home folder."""
    assert STRACE is not None
    home = folder / "home"
    home.mkdir()
    others = ("XDG_", "ORT_", "CI")  # a camera is no CI, where ONNX Runtime would keep still by itself
    environment = {name: value for name, value in os.environ.items() if not name.startswith(others)}
    calls = "--trace=connect,sendto,sendmsg,sendmmsg"
    done = subprocess.run(
        [STRACE, "--follow-forks", "--seccomp-bpf", calls, f"--output={folder / 'trace'}", *command],
        env=environment | {"HOME": str(home)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return (folder / "trace").read_text(errors="replace"), list(home.rglob("*"))


@needs_strace
def test_the_whole_stack_speaks_to_this_machine_alone_and_leaves_home_as_it_was(tmp_path: Path) -> None:
    arguments = ["demo", "--headless", "--frames", "6", "--streams", "1", "--out", str(tmp_path / "out")]
    trace, written = traced([sys.executable, "-m", "narrows.cli", *arguments], tmp_path)
    assert "AF_INET" in trace  # it does see what they say to one another
    assert contacted(trace) == set()
    assert written == []


@needs_strace
def test_onnx_runtime_by_itself_would_write_below_home(tmp_path: Path) -> None:
    """The reason for all this: where this fails, ONNX Runtime has mended its ways, or the tests above see nothing."""
    _, written = traced([sys.executable, "-c", "import onnxruntime"], tmp_path)
    assert written


def test_a_peer_elsewhere_and_a_name_server_anywhere_are_noticed() -> None:
    here = 'connect(3, {sa_family=AF_INET, sin_port=htons(6379), sin_addr=inet_addr("127.0.0.1")}, 16) = 0\n'
    there = 'connect(3, {sa_family=AF_INET, sin_port=htons(443), sin_addr=inet_addr("192.0.2.7")}, 16) = 0\n'
    names = 'sendto(5, "", 9, 0, {sa_family=AF_INET, sin_port=htons(53), sin_addr=inet_addr("127.0.0.11")}, 16) = 9\n'
    six = 'connect(3, {sa_family=AF_INET6, sin6_port=htons(443), sin6_flowinfo=htonl(0), inet_pton(AF_INET6, "2001:db8::1", &sin6_addr), sin6_scope_id=0}, 28) = 0\n'  # noqa: E501
    assert contacted(here) == set()
    assert contacted(here + there + names + six) == {"192.0.2.7:443", "127.0.0.11:53", "2001:db8::1:443"}


@pytest.mark.parametrize(
    "file",
    [
        "edge_client/Dockerfile",
        "orchestrator/Dockerfile",
        "benchmarks/e2e/standins/triton/Dockerfile",
        "deploy/narrows-edge.service",
        "docker-compose.yml",
        "orchestrator/servers/triton_environment.py",
        "orchestrator/servers/backends/onnxruntime/model.py",
        "narrows/models/split/probe.py",
    ],
)
def test_whatever_starts_onnx_runtime_without_our_module_turns_its_telemetry_off(file: str) -> None:
    assert re.search(r"ORT_DISABLE_TELEMETRY\W{1,6}1", (ROOT / file).read_text())


def test_the_linter_lets_our_module_import_onnx_runtime_and_what_runs_without_it() -> None:
    lint = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["lint"]
    assert "onnxruntime" in lint["flake8-tidy-imports"]["banned-api"]
    free = {each for each, rules in lint["per-file-ignores"].items() if "TID251" in rules}
    assert free - {"narrows/runtime/surroundings.py"} == {
        "narrows/models/split/probe.py",
        "narrows/runtime/onnx_runtime/**",
        "orchestrator/servers/backends/**",
    }
