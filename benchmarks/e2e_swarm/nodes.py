"""Machines on one machine: each an engine in namespaces of its own, all on one switch that can cut any of them off."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from benchmarks.e2e_swarm.images import ROOT, answers, linked_store

HERE_ADDRESS = "192.168.77.254"
"""Of this program and the cameras, on the switch."""
CGROUP = "narrows-e2e-swarm"
_SWITCH = "switch"
_SCRIPT = Path(__file__).with_name("node.sh")
_NAMESPACES = ("--net", "--mount", "--uts")


def open_switch() -> None:
    """Make the switch, in a network namespace that has nothing yet, and a folder for sockets that is this run's."""
    _run("mount", "-t", "tmpfs", "tmpfs", "/run")
    _run("ip", "link", "set", "lo", "up")
    _run("ip", "link", "add", _SWITCH, "type", "bridge")
    _run("ip", "address", "add", f"{HERE_ADDRESS}/24", "dev", _SWITCH)
    _run("ip", "link", "set", _SWITCH, "up")


def encrypts() -> bool:
    """Whether this kernel has IPsec's ESP, by which Swarm encrypts between nodes."""
    state = ("ip", "xfrm", "state", "add", "src", HERE_ADDRESS, "dst", HERE_ADDRESS, "proto", "esp", "spi", "1",
             "enc", "cbc(aes)", f"0x{'00' * 16}", "auth", "hmac(sha1)", f"0x{'00' * 20}")  # fmt: skip
    tried = subprocess.run(state, capture_output=True, check=False)
    subprocess.run(["ip", "xfrm", "state", "flush"], capture_output=True, check=False)
    return tried.returncode == 0


@dataclass(frozen=True)
class Node:
    """An engine that runs.

    Attributes:
        name: its host name, and so its name in the swarm.
        address: on the switch.
    """

    name: str
    address: str

    @property
    def socket(self) -> str:
        """Where its engine listens."""
        return f"unix:///run/{self.name}.sock"

    def docker(self, *words: str, environment: dict[str, str] | None = None, most_s: float = 300.0) -> str:
        """Run ``docker WORDS`` against it; answers what it printed.

        Raises:
            subprocess.CalledProcessError: it failed.
        """
        settings = os.environ | {"DOCKER_HOST": self.socket} | (environment or {})
        done = subprocess.run(
            ["docker", *words], env=settings, capture_output=True, text=True, check=False, timeout=most_s
        )
        if done.returncode:
            raise subprocess.CalledProcessError(done.returncode, ["docker", *words], done.stdout, done.stderr)
        return done.stdout.strip()

    def cut_off(self) -> None:
        """Pull its cable."""
        _run("ip", "link", "set", self.name, "down")

    def put_back(self) -> None:
        """Plug it in again."""
        _run("ip", "link", "set", self.name, "up")


def start_node(number: int, folder: Path, bundles: Path) -> Node:
    """Start an engine with the images, on the switch.

    Raises:
        EngineError: it does not answer.
    """
    node = Node(f"node-{number}", f"192.168.77.{number}")
    home = folder / node.name
    linked_store(home / "store")
    words = (node.name, node.address, str(home), str(bundles), str(ROOT / "deploy" / "swarm" / "daemon.json"), CGROUP)
    with (home / "log").open("wb") as log:
        engine = subprocess.Popen(
            ["unshare", *_NAMESPACES, _SCRIPT, *words], stdin=subprocess.PIPE, stdout=log, stderr=log
        )
    _link(node, engine)
    answers(os.environ | {"DOCKER_HOST": node.socket}, home / "log")
    return node


def _link(node: Node, engine: subprocess.Popen[bytes]) -> None:
    if engine.stdin is None:  # it was opened with one
        raise AssertionError
    _until_apart(engine.pid)
    _run("ip", "link", "add", node.name, "type", "veth", "peer", "name", "eth0", "netns", str(engine.pid))
    _run("ip", "link", "set", node.name, "master", _SWITCH, "up")
    engine.stdin.write(b"linked\n")
    engine.stdin.close()


def _until_apart(pid: int) -> None:
    """Until `unshare` has given it a network of its own."""
    ours = Path("/proc/self/ns/net").readlink()
    while Path(f"/proc/{pid}/ns/net").readlink() == ours:
        os.sched_yield()


def _run(*words: str) -> None:
    subprocess.run(words, check=True)
