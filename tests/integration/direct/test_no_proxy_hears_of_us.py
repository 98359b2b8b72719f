"""With every proxy variable set, each client goes straight to the address it was given, and the proxy hears nothing."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import yaml
from aiohttp import ClientSession

from narrows.ops.doctor import triton_server
from narrows.runtime.direct import ignore_proxies
from orchestrator.engine_proxy.asked import Denied
from orchestrator.engine_proxy.upstream import DockerSocket
from orchestrator.inference.triton_model import TritonModel
from orchestrator.page.behind import Behind
from orchestrator.page.scrape import Scraper
from orchestrator.scaling.engines.cluster import Cluster
from orchestrator.scaling.engines.docker_engine import DockerEngine
from orchestrator.scaling.engines.instances import TritonInstances
from orchestrator.scaling.replicas import ActuationFailed
from orchestrator.scaling.triton_metrics import TritonScraper
from orchestrator.servers.ports import LOOPBACK

ROOT = Path(__file__).parents[3]
_NAMES = ("http_proxy", "https_proxy", "all_proxy", "grpc_proxy", "ftp_proxy")


class Listener:
    """Answers whatever comes as a small HTTP server does, and counts who came."""

    def __init__(self) -> None:
        self.visits = 0
        self._socket = socket.create_server((LOOPBACK, 0))
        self.port: int = self._socket.getsockname()[1]
        self.address = f"{LOOPBACK}:{self.port}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                visitor, _ = self._socket.accept()
            except OSError:
                return
            self.visits += 1
            with visitor:
                visitor.settimeout(5)
                visitor.recv(4096)
                visitor.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


@pytest.fixture
def target() -> Iterator[Listener]:
    """Where the clients are sent."""
    listener = Listener()
    yield listener
    listener.close()


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Listener]:
    """What every proxy variable names."""
    listener = Listener()
    for name in _NAMES:
        monkeypatch.setenv(name, f"http://{listener.address}")
        monkeypatch.setenv(name.upper(), f"http://{listener.address}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    yield listener
    assert listener.visits == 0
    listener.close()


async def _decoder(address: str) -> None:
    model = TritonModel(address, "decoder")
    assert not await model.ready()
    await model.close()


async def _instances(address: str) -> None:
    instances = TritonInstances(lambda: [address])
    with pytest.raises(ActuationFailed):
        await instances.set_instances(2)
    await instances.close()


async def _doctor(address: str) -> None:
    with pytest.raises(Exception, match=r"UNAVAILABLE|Deadline"):
        triton_server.gather(address)


async def _probe(address: str) -> None:
    """By an interpreter of its own: what is there when the module is loaded counts."""
    ask = f"from narrows.runtime.direct import open_url; print(open_url('http://{address}/readyz', 5.0).read())"
    program = await asyncio.create_subprocess_exec(sys.executable, "-c", ask, cwd=ROOT, stdout=subprocess.PIPE)
    said, _ = await program.communicate()
    assert said.strip() == b"b'{}'"


async def _triton_metrics(address: str) -> None:
    scraper = TritonScraper()
    await scraper.look({"one": address})
    await scraper.close()


async def _dispatcher_metrics(address: str) -> None:
    async with ClientSession() as session:
        await Scraper(session, Behind([f"http://{address}"])).round()


async def _docker(address: str) -> None:
    engine = DockerEngine(f"tcp://{address}", timeout_s=5)
    with pytest.raises(ActuationFailed):
        await engine.ask("containers")
    await engine.close()


async def _engine_proxy(address: str) -> None:
    upstream = DockerSocket(f"tcp://{address}")
    try:
        await upstream.ask("GET", "/_ping", {})
    except Denied:
        pass
    finally:
        await upstream.close()


async def _kubernetes(address: str) -> None:
    cluster = Cluster("default")
    with pytest.raises((ActuationFailed, AttributeError)):  # the answer is no Scale
        await cluster.scale_of("triton")
    await cluster.close()


@pytest.mark.parametrize(
    "ask",
    [
        _decoder,
        _instances,
        _doctor,
        _probe,
        _triton_metrics,
        _dispatcher_metrics,
        _docker,
        _engine_proxy,
        _kubernetes,
    ],
)
async def test_a_client_goes_straight_to_its_address(
    ask: Callable[[str], Awaitable[None]],
    proxy: Listener,
    target: Listener,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cluster = {"name": "c", "cluster": {"server": f"http://{target.address}"}}
    context = {"name": "c", "context": {"cluster": "c", "user": "u"}}
    user = {"name": "u", "user": {"token": "t"}}
    config = {"clusters": [cluster], "contexts": [context], "users": [user], "current-context": "c"}
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))
    monkeypatch.setattr(
        "kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "kubeconfig"), raising=True
    )
    await ask(target.address)
    assert target.visits > 0
    assert proxy.visits == 0


def _checks() -> list[list[str]]:
    """Every health check of the compose file and of the images."""
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    found = [each["healthcheck"]["test"][1:] for each in services.values() if "test" in each.get("healthcheck", {})]
    for image in ("orchestrator", "edge_client"):
        (command,) = re.findall(r"\n  CMD (\[.*\])\n", (ROOT / image / "Dockerfile").read_text())
        found.append(yaml.safe_load(command))
    return [check for check in found if "http://" in str(check)]


@pytest.mark.parametrize("check", _checks(), ids=lambda check: re.search(r"http://([^/]*)", str(check))[1])  # type: ignore[index]
def test_a_health_check_asks_its_own_service(check: list[str], proxy: Listener, target: Listener) -> None:
    program = next(word for word in check if word in ("python", "curl", "wget"))
    if program != "python" and shutil.which(program) is None:
        pytest.skip(f"{program} is not on this machine")
    command = [re.sub(r"http://[^/]+", f"http://{target.address}", word) for word in check]
    if command[0] == "python":
        command[0] = sys.executable
    assert subprocess.run(command, check=False, capture_output=True, timeout=30).returncode == 0
    assert target.visits == 1


def test_a_programs_libraries_and_children_see_no_proxy() -> None:
    environment = {"HTTP_PROXY": "a", "https_proxy": "b", "Grpc_Proxy": "c", "no_proxy": "d", "PATH": "e"}
    ignore_proxies(environment)
    assert environment == {"no_proxy": "d", "PATH": "e"}


def test_every_command_ignores_them(tmp_path: Path) -> None:
    """What a command does to its own environment, its children and libraries in C get too."""
    (tmp_path / "sitecustomize.py").write_text(
        "import atexit, os\n"
        "atexit.register(lambda: print('left', [name for name in os.environ if name.lower() == 'http_proxy']))\n"
    )
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}", "http_proxy": "http://x", "HTTP_PROXY": "http://x"}
    said = subprocess.run(
        [sys.executable, "-m", "narrows.cli", "--version"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert "left []" in said.stdout
