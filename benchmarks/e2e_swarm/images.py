"""The images of the stack, built once by an engine of its own, and stores for the nodes' engines that have them.

There is no registry that all nodes could pull from. A layer is read-only, so a node's store is the builder's by hard
links: it costs no disk and no time.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache" / "e2e-swarm"
OURS = "narrows/orchestrator"
NOW, NEXT, BROKEN = "0.1.0", "0.1.0-next", "0.1.0-broken"
"""Tags of our image: as it is, the same under another id, and one whose program is not found."""
_E2E = ROOT / "benchmarks" / "e2e"
_PUBLIC = {"redis": "redis:7.4.2-bookworm", "triton": "nvcr.io/nvidia/tritonserver:24.10-py3"}
_VARIANTS = {NEXT: "LABEL narrows.release=next", BROKEN: "ENV PATH=/usr/bin:/bin"}
_ENGINE_S = 60.0


class EngineError(Exception):
    """An engine did not do what it was asked to."""


def build(console: Console) -> None:
    """Build what is missing: public images as stand-ins where they cannot be pulled, ours from its Dockerfile."""
    subprocess.run([_E2E / "engine.sh", "--programs"], check=True)
    with _builder() as engine:
        console.print("images: those that are built already are kept", style="dim")
        wanted = "".join(f"{name} {image}\n" for name, image in _PUBLIC.items())
        subprocess.run([_E2E / "standins" / "build.sh"], input=wanted, text=True, check=True, env=engine)
        build = ["docker", "build", "--quiet", "--network", "host", "--tag"]
        dockerfile = ["--file", str(ROOT / "orchestrator" / "Dockerfile"), str(ROOT)]
        subprocess.run([*build, f"{OURS}:{NOW}", *dockerfile], check=True, env=engine, stdout=subprocess.DEVNULL)
        for tag, line in _VARIANTS.items():
            text = f"FROM {OURS}:{NOW}\n{line}\n"
            command = [*build, f"{OURS}:{tag}", "-"]
            subprocess.run(command, input=text, text=True, check=True, env=engine, stdout=subprocess.DEVNULL)


def linked_store(folder: Path) -> None:
    """Make ``folder`` the data root of an engine that has the builder's images."""
    folder.mkdir(parents=True)
    shutil.copytree(CACHE / "store" / "image", folder / "image")
    subprocess.run(["cp", "-al", str(CACHE / "store" / "overlay2"), str(folder / "overlay2")], check=True)


@contextmanager
def _builder() -> Iterator[dict[str, str]]:
    """An engine without networks of its own, which changes nothing on this host; answers its clients' environment."""
    folder = CACHE / "builder"
    folder.mkdir(parents=True, exist_ok=True)
    options = {
        "--data-root": CACHE / "store",
        "--exec-root": folder / "run",
        "--pidfile": folder / "pid",
        "--host": f"unix://{folder}/sock",
        "--bridge": "none",
    }
    command = ["dockerd", "--iptables=false", "--ip-forward=false", "--ip-masq=false"]
    command += [str(word) for pair in options.items() for word in pair]
    environment = os.environ | {"DOCKER_HOST": f"unix://{folder}/sock"}
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as engine:
        try:
            answers(environment, folder / "log")
            yield environment
        finally:
            engine.terminate()


def answers(environment: dict[str, str], log: Path) -> None:
    """Wait until an engine answers.

    Raises:
        EngineError: it does not; the message has the end of its log.
    """
    until_s = time.monotonic() + _ENGINE_S
    while subprocess.run(["docker", "version"], env=environment, capture_output=True, check=False).returncode:
        if time.monotonic() > until_s:
            raise EngineError(f"dockerd does not answer; the end of {log}:\n{log.read_text()[-1500:]}")
        time.sleep(0.5)
