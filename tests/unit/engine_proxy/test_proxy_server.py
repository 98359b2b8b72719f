"""The proxy over HTTP: bounds, counts, a socket of its own, an engine that is away."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from narrows.contract.errors import ServiceError
from narrows.runtime.http import serve
from orchestrator.containers.clone import label_filters
from orchestrator.engine_proxy.asked import MOST_BODY_BYTES
from orchestrator.engine_proxy.gate import Allowed, Gate
from orchestrator.engine_proxy.server import Door
from orchestrator.engine_proxy.upstream import MOST_ANSWER_BYTES, DockerSocket
from orchestrator.scaling.engines.docker_engine import DockerEngine
from orchestrator.scaling.replicas import ActuationFailed
from tests.unit.scaling.recorded_docker import RecordedDocker
from tests.unit.scaling.recorded_docker import served as engine_served

LABELS = label_filters("narrows", "triton")


@pytest.fixture
def docker() -> RecordedDocker:
    docker = RecordedDocker()
    docker.add("narrows", "triton", 1)
    return docker


@pytest.fixture
async def url(docker: RecordedDocker) -> AsyncIterator[str]:
    async with engine_served(docker) as behind:
        socket = DockerSocket(behind)
        async with serve(Door(Gate(socket, Allowed("narrows", "triton"))).handle, "127.0.0.1:0") as at:
            yield f"http://{at}"
        await socket.close()


async def _ask(method: str, url: str, data: bytes | None = None) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.request(method, url, data=data) as reply:
        return reply.status, await reply.text()


async def test_what_passes_and_what_does_not_is_counted(url: str) -> None:
    assert (await _ask("GET", f"{url}/version"))[0] == 200
    status, said = await _ask("GET", f"{url}/v1.41/images/json")
    assert (status, "not needed to scale" in said) == (403, True)
    status, said = await _ask("POST", f"{url}/containers/create?name=narrows-triton-2", b"[]")
    assert (status, "must be a JSON object" in said) == (403, True)
    _, metrics = await _ask("GET", f"{url}/metrics")
    for line in (
        'narrows_engine_proxy_requests_total{action="version",verdict="passed"} 1.0',
        'narrows_engine_proxy_requests_total{action="other",verdict="path"} 1.0',
        'narrows_engine_proxy_requests_total{action="create",verdict="body"} 1.0',
    ):
        assert line in metrics


async def test_a_body_without_an_end_is_cut_off(url: str, docker: RecordedDocker) -> None:
    whole = b"{" + b" " * MOST_BODY_BYTES + b"}"
    assert (await _ask("POST", f"{url}/containers/create?name=narrows-triton-2", whole))[0] == 413
    assert (await _ask("POST", f"{url}/containers/create?name=narrows-triton-2", b"[" * 100_000))[0] == 403
    assert docker.asked == []


async def test_an_answer_without_an_end_is_not_passed_on(url: str, docker: RecordedDocker) -> None:
    identity = next(iter(docker.containers))
    docker.containers[identity]["Padding"] = "x" * MOST_ANSWER_BYTES
    assert (await _ask("GET", f"{url}/containers/{identity}/json"))[0] == 502


async def test_who_does_not_bring_the_token_passes_nothing_and_may_ask_whether_it_lives(docker: RecordedDocker) -> None:
    token = "a token that is long enough"
    async with engine_served(docker) as behind:
        socket = DockerSocket(behind)
        async with serve(Door(Gate(socket, Allowed("narrows", "triton")), token).handle, "127.0.0.1:0") as at:
            for path in ("/version", "/metrics", "/containers/json", "/v1.41/_ping"):
                assert (await _ask("GET", f"http://{at}{path}"))[0] == 401
            assert docker.asked == []
            assert (await _ask("GET", f"http://{at}/_ping"))[0] != 401
            engine = DockerEngine(f"tcp://{at}", token)
            assert len(await engine.ask("containers", filters={"label": LABELS})) == 1
            await engine.close()
            stranger = DockerEngine(f"tcp://{at}", token + "x")
            with pytest.raises(ActuationFailed, match="Authorization"):
                await stranger.ask("containers", filters={"label": LABELS})
            await stranger.close()
        await socket.close()


async def test_a_raw_path_is_read_as_it_stands(url: str, docker: RecordedDocker) -> None:
    host, port = url.removeprefix("http://").split(":")
    identity = next(iter(docker.containers))
    for target in (
        f"/containers/%6a/../{identity}/json",
        f"/containers/{identity}/%6ason",
        f"http://x/containers/{identity}/json",
    ):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        assert (await reader.readline()).split()[1] == b"403", target
        writer.close()
        await writer.wait_closed()
    assert docker.asked == []


async def test_an_engine_that_is_away_is_said(tmp_path: Path) -> None:
    socket = DockerSocket(f"unix://{tmp_path}/none.sock")
    async with serve(Door(Gate(socket, Allowed("narrows", "triton"))).handle, "127.0.0.1:0") as at:
        status, said = await _ask("GET", f"http://{at}/version")
        assert (status, "does not answer" in said) == (502, True)
    await socket.close()


@pytest.mark.parametrize("url", ["/var/run/docker.sock", "http://docker:2375", "unix://"])
async def test_an_address_of_another_kind_is_refused(url: str) -> None:
    with pytest.raises(ServiceError, match=r"unix:///var/run/docker\.sock"):
        DockerSocket(url)


async def test_the_program_serves_a_socket_of_its_own_until_it_is_ended(docker: RecordedDocker, tmp_path: Path) -> None:
    path = tmp_path / "p.sock"
    async with engine_served(docker) as behind:
        command = [sys.executable, "-m", "narrows.cli", "engine-proxy", "--project", "narrows", "--service", "triton",
                   "--docker", behind, "--listen", f"unix://{path}"]  # fmt: skip
        with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) as proxy:  # noqa: ASYNC220
            async with asyncio.timeout(60):
                while not os.path.exists(path):  # noqa: ASYNC110, ASYNC240, PTH110
                    await asyncio.sleep(0.1)
            assert os.stat(path).st_mode & 0o777 == 0o660  # noqa: PTH116
            async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path))) as session:
                reply = await session.get("http://proxy/v1.41/containers/json")
                assert [each["Names"] for each in await reply.json()] == [["/narrows-triton-1"]]
            proxy.send_signal(signal.SIGTERM)
            _, said = await asyncio.to_thread(proxy.communicate)
        assert proxy.returncode == 0, said.decode()


def test_the_program_that_may_do_nothing_does_not_begin() -> None:
    command = [sys.executable, "-m", "narrows.cli", "engine-proxy", "--project", "narrows"]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    assert "--swarm-service" in ended.stderr
