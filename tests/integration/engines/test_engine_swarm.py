"""A Swarm service, scaled on a real Docker engine that manages a swarm; directly and through the proxy."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Iterator

import docker
import pytest
from docker.errors import APIError

from narrows.contract.wire.keys import ScaleKeys
from narrows.runtime.http import serve
from narrows.runtime.redis.store import Store
from orchestrator.engine_proxy.gate import Allowed, Gate
from orchestrator.engine_proxy.server import Door
from orchestrator.engine_proxy.upstream import DockerSocket
from orchestrator.scaling.engines.docker_engine import DockerEngine, Refused
from orchestrator.scaling.engines.swarm import SwarmService
from orchestrator.scaling.replicas import ActuationFailed, CapacityExhausted, StaleLeader
from tests.integration.engines.conftest import IMAGE, settled, until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]


@pytest.fixture
def service(real_docker: docker.APIClient) -> Iterator[str]:
    """A service of one task in mode dnsrr (a kernel without IP_VS has no other); its name."""
    if not real_docker.info()["Swarm"].get("ControlAvailable"):
        pytest.skip("this Docker engine manages no swarm: docker swarm init --advertise-addr 127.0.0.1")
    name = f"narrows-test-{uuid.uuid4().hex[:8]}"
    network = real_docker.create_network(name, driver="overlay")["Id"]
    real_docker.create_service(_template(network), name=name, endpoint_spec={"Mode": "dnsrr"}, mode=_mode(1))
    yield name
    real_docker.remove_service(name)
    _remove_network(real_docker, network)


def _template(network: str, memory_bytes: int = 0) -> dict[str, object]:
    command = ["/server", "--port", "8001", "--save", "", "--dir", "/tmp"]
    return {
        "ContainerSpec": {"Image": IMAGE, "Command": command, "StopGracePeriod": 5_000_000_000},
        "Resources": {"Reservations": {"MemoryBytes": memory_bytes}},
        "Networks": [{"Target": network}],
    }


def _mode(replicas: int) -> dict[str, object]:
    return {"Replicated": {"Replicas": replicas}}


def _remove_network(client: docker.APIClient, network: str) -> None:
    """Once its tasks are gone, which takes a moment."""
    give_up = time.monotonic() + 30
    while True:
        try:
            client.remove_network(network)
        except APIError:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.5)
        else:
            return


@pytest.fixture(params=["directly", "through the proxy"])
async def engine(
    request: pytest.FixtureRequest, docker_url: str, service: str, store: Store
) -> AsyncIterator[SwarmService]:
    socket = DockerSocket(docker_url)
    async with serve(Door(Gate(socket, Allowed(swarm_service=service))).handle, "127.0.0.1:0") as bound:
        engine = SwarmService(
            service, store, docker_url=docker_url if request.param == "directly" else f"tcp://{bound}"
        )
        yield engine
        await engine.close()
    await socket.close()


async def test_from_one_to_three_and_back(engine: SwarmService) -> None:
    for number in (3, 1):
        seen = await engine.observe()
        await engine.scale(number, seen, 1)
        seen = await settled(engine, number)
        assert seen.wanted == number
        assert len(set(seen.servers)) == number


async def test_a_version_that_is_not_the_last_is_refused(engine: SwarmService, store: Store) -> None:
    old = await settled(engine, 1)
    await engine.scale(2, old, 1)
    with pytest.raises(StaleLeader, match="changed since version"):
        await engine.scale(3, old, 1)
    await store.call("SET", ScaleKeys.FENCE, 2)
    with pytest.raises(StaleLeader, match="leader 2"):
        await engine.scale(3, await engine.observe(), 1)
    assert (await settled(engine, 2)).wanted == 2


async def test_the_engine_itself_refuses_it_too(service: str, docker_url: str, store: Store) -> None:
    """What slips between our look and our change: both go by the version that was seen."""

    class Behind(DockerEngine):
        async def ask(self, method: str, /, *args: object, **options: object) -> object:
            if method == "update_service":
                assert isinstance(args[1], int)
                args = (args[0], args[1] - 1)
            return await super().ask(method, *args, **options)

    engine = SwarmService(service, store, docker_url=docker_url)
    engine._engine = Behind(docker_url)
    with pytest.raises(StaleLeader, match="changed since version"):
        await engine.scale(2, await settled(engine, 1), 1)
    await engine.close()


async def test_tasks_that_find_no_node_say_how_many_slots_there_are(
    service: str, real_docker: docker.APIClient, docker_url: str, store: Store
) -> None:
    half = int(real_docker.info()["MemTotal"] * 0.6)
    inspected = real_docker.inspect_service(service)
    template = inspected["Spec"]["TaskTemplate"] | {"Resources": {"Reservations": {"MemoryBytes": half}}}
    real_docker.update_service(
        service, inspected["Version"]["Index"], task_template=template, mode=_mode(1), fetch_current_spec=True
    )
    engine = SwarmService(service, store, docker_url=docker_url)
    await settled(engine, 1)
    await engine.scale(2, await engine.observe(), 1)

    async def full() -> bool:
        return (await engine.observe()).slots == 1

    await until(full)
    seen = await engine.observe()
    assert (seen.wanted, seen.ready, seen.starting) == (2, 1, 0)
    await engine.scale(1, seen, 1)
    await settled(engine, 1)
    with pytest.raises(CapacityExhausted, match="1 fit"):
        await engine.scale(2, await engine.observe(), 1)
    await engine.close()


async def test_a_service_that_is_not_there_is_said(service: str, docker_url: str, store: Store) -> None:
    engine = SwarmService(f"{service}-not", store, docker_url=docker_url)
    with pytest.raises(ActuationFailed, match="not found"):
        await engine.observe()
    await engine.close()


async def test_the_proxy_lets_nothing_else_of_it_change(
    service: str, real_docker: docker.APIClient, docker_url: str
) -> None:
    socket = DockerSocket(docker_url)
    async with serve(Door(Gate(socket, Allowed(swarm_service=service))).handle, "127.0.0.1:0") as bound:
        asked = DockerEngine(f"tcp://{bound}")
        spec = (await asked.ask("inspect_service", service))["Spec"]
        version = (await asked.ask("inspect_service", service))["Version"]["Index"]
        changed = spec["TaskTemplate"] | {"ForceUpdate": 7}
        for method, args, options in (
            ("update_service", (service, version), {"task_template": changed, "name": service, "mode": _mode(2)}),
            ("remove_service", (service,), {}),
            ("nodes", (), {}),
            ("containers", (), {}),
        ):
            with pytest.raises(Refused, match="engine-proxy") as refused:
                await asked.ask(method, *args, **options)
            assert refused.value.status == 403
        await asked.close()
    await socket.close()
    await asyncio.sleep(0)
    assert real_docker.inspect_service(service)["Spec"] == spec
