"""A compose service, scaled on a real Docker engine, its marks in a real Redis; directly and through the proxy."""

import shutil
import subprocess
from collections.abc import AsyncIterator

import docker
import pytest

from narrows.contract.wire.keys import ScaleKeys
from narrows.runtime.http import serve
from narrows.runtime.redis.store import Store
from orchestrator.containers.clone import PROJECT
from orchestrator.engine_proxy.gate import Allowed, Gate
from orchestrator.engine_proxy.server import Door
from orchestrator.engine_proxy.upstream import DockerSocket
from orchestrator.scaling.engines.compose import ComposeService
from orchestrator.scaling.engines.docker_engine import DockerEngine, Refused
from orchestrator.scaling.replicas import CapacityExhausted, StaleLeader
from tests.integration.engines.conftest import IMAGE, Dispatcher, add_container, drained, settled, until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]


@pytest.fixture
async def proxy(docker_url: str, project: str) -> AsyncIterator[str]:
    """The proxy for this project's service triton; its URL."""
    socket = DockerSocket(docker_url)
    async with serve(Door(Gate(socket, Allowed(project, "triton"))).handle, "127.0.0.1:0") as bound:
        yield f"tcp://{bound}"
    await socket.close()


@pytest.fixture(params=["directly", "through the proxy"])
async def engine(
    request: pytest.FixtureRequest, docker_url: str, proxy: str, project: str, store: Store
) -> AsyncIterator[ComposeService]:
    url = docker_url if request.param == "directly" else proxy
    engine = ComposeService(project, "triton", store, docker_url=url, slots=3)
    yield engine
    await engine.close()


async def _none(store: Store) -> bool:
    return not await drained(store)


def _states(client: docker.APIClient, project: str) -> dict[str, str]:
    listed = client.containers(all=True, filters={"label": f"{PROJECT}={project}"})
    return {each["Names"][0].rpartition("-")[2]: each["State"] for each in listed}


async def test_clones_come_and_go_and_at_none_a_template_stays(
    engine: ComposeService, real_docker: docker.APIClient, project: str, store: Store
) -> None:
    seen = await settled(engine, 1)
    assert (seen.wanted, seen.slots) == (1, 3)
    await engine.scale(3, seen, 1)
    seen = await settled(engine, 3)
    assert len(set(seen.servers)) == 3
    assert all(address.endswith(":8001") for address in seen.servers)
    first, clone = (real_docker.inspect_container(f"{project}-triton-{number}") for number in (1, 3))
    assert clone["HostConfig"]["Memory"] == first["HostConfig"]["Memory"] == 64 << 20
    assert clone["Config"]["Env"] == first["Config"]["Env"]
    assert clone["NetworkSettings"]["Networks"].keys() == first["NetworkSettings"]["Networks"].keys()
    aliases = clone["NetworkSettings"]["Networks"][f"{project}_second"]["Aliases"]
    assert {f"{project}-triton-3", "triton"} <= set(aliases)
    assert f"{project}-triton-1" not in aliases

    await engine.scale(0, seen, 1)
    await settled(engine, 0)

    async def one_is_left() -> bool:
        return len(_states(real_docker, project)) == 1

    await until(one_is_left)
    ((template, state),) = _states(real_docker, project).items()
    assert state == "exited"
    await engine.scale(2, seen, 1)
    await settled(engine, 2)
    lowest_free = "2" if template == "1" else "1"  # the template is whichever stopped last
    assert set(_states(real_docker, project)) == {template, lowest_free}
    await until(lambda: _none(store))


async def test_a_server_goes_only_once_dispatchers_have_nothing_there(
    engine: ComposeService, dispatcher: Dispatcher, store: Store
) -> None:
    await engine.scale(2, await engine.observe(), 1)
    seen = await settled(engine, 2)
    dispatcher.outstanding = dict.fromkeys(seen.servers, 3)
    await engine.scale(1, seen, 1)
    seen = await engine.observe()
    assert (seen.wanted, seen.ready, seen.draining) == (1, 1, 1)
    (going,) = await drained(store) & set(seen.servers)
    for _ in range(3):
        await dispatcher.report()
        assert (await engine.observe()).draining == 1
    dispatcher.outstanding[going] = 0
    seen = await settled(engine, 1)
    assert going not in seen.servers
    await until(lambda: _none(store))


async def test_one_that_was_to_go_is_called_back(engine: ComposeService, dispatcher: Dispatcher, store: Store) -> None:
    await engine.scale(2, await engine.observe(), 1)
    seen = await settled(engine, 2)
    dispatcher.outstanding = dict.fromkeys(seen.servers, 1)
    await engine.scale(0, seen, 1)
    assert (await engine.observe()).draining == 2
    await engine.scale(2, seen, 1)
    assert await settled(engine, 2) == seen
    assert await drained(store) == set()


async def test_there_are_no_more_servers_than_slots(engine: ComposeService) -> None:
    seen = await settled(engine, 1)
    with pytest.raises(CapacityExhausted, match="3 slots"):
        await engine.scale(4, seen, 1)
    assert (await engine.observe()).wanted == 1


async def test_a_stale_leader_changes_nothing_and_stops_nothing(
    engine: ComposeService, dispatcher: Dispatcher, store: Store
) -> None:
    await engine.scale(2, await engine.observe(), 4)
    seen = await settled(engine, 2)
    dispatcher.outstanding = dict.fromkeys(seen.servers, 1)
    await engine.scale(1, seen, 4)
    await store.call("SET", ScaleKeys.FENCE, 5)  # while it empties a server, somebody else begins to lead
    with pytest.raises(StaleLeader):
        await engine.scale(3, seen, 4)
    dispatcher.outstanding = dict.fromkeys(seen.servers, 0)
    seen = await settled(engine, 2)
    assert seen.wanted == 2
    assert await drained(store) == set()


async def test_a_replica_that_vanished_is_no_error(
    engine: ComposeService, real_docker: docker.APIClient, dispatcher: Dispatcher, project: str, store: Store
) -> None:
    await engine.scale(2, await engine.observe(), 1)
    seen = await settled(engine, 2)
    dispatcher.outstanding = dict.fromkeys(seen.servers, 1)
    await engine.scale(1, seen, 1)
    real_docker.remove_container(f"{project}-triton-2", force=True)
    dispatcher.outstanding = {}
    assert (await settled(engine, 1)).wanted == 1
    await until(lambda: _none(store))
    await engine.scale(2, seen, 1)
    await settled(engine, 2)


async def test_the_proxy_lets_nothing_else_through(proxy: str, real_docker: docker.APIClient, project: str) -> None:
    other = add_container(real_docker, project, "redis", 1)
    asked = DockerEngine(proxy)
    try:
        listed = await asked.ask("containers", all=True)
        assert [each["Names"] for each in listed] == [[f"/{project}-triton-1"]]
        config = real_docker.create_container_config(
            IMAGE, ["/server"], host_config=real_docker.create_host_config(binds=["/:/host"], privileged=True)
        )
        for method, args in (
            ("create_container_from_config", (config, f"{project}-triton-2")),
            ("inspect_container", (other,)),
            ("stop", (other,)),
            ("exec_create", (listed[0]["Id"], ["/server"])),
            ("kill", (listed[0]["Id"],)),
            ("images", ()),
            ("info", ()),
            ("create_network", ("x",)),
        ):
            with pytest.raises(Refused, match="engine-proxy") as refused:
                await asked.ask(method, *args)
            assert refused.value.status == 403, method
    finally:
        await asked.close()
    assert real_docker.inspect_container(other)["State"]["Running"]


@pytest.mark.skipif(shutil.which("docker-compose") is None, reason="there is no docker-compose (v2) on the PATH")
async def test_compose_counts_clones_as_its_own(
    docker_url: str, real_docker: docker.APIClient, store: Store, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("stack")
    (folder / "compose.yaml").write_text(
        "name: narrows-test-compose\nservices:\n  triton:\n"
        f"    image: {IMAGE}\n    command: [/server, --port, '8001', --dir, /tmp]\n    deploy: {{replicas: 1}}\n"
    )

    def compose(*words: str) -> str:
        command = ["docker-compose", "--host", docker_url, *words]
        done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=120)
        return done.stdout + done.stderr

    engine = ComposeService("narrows-test-compose", "triton", store, docker_url=docker_url)
    try:
        compose("up", "--detach", "--pull", "never")
        await engine.scale(2, await engine.observe(), 1)
        seen = await settled(engine, 2)
        assert len(compose("ps", "--quiet").split()) == 2
        compose("up", "--detach", "--pull", "never", "--no-recreate", "--scale", "triton=2")
        assert await engine.observe() == seen  # it recreated none
    finally:
        await engine.close()
        compose("down", "--timeout", "2")
