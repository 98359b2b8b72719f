"""A compose service where no Docker engine is at hand.

One in this process answers in the shapes that a real one gave (tests/unit/scaling/recorded), through the real SDK
over HTTP; the Redis with the marks is real.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from narrows.contract.wire.keys import ScaleKeys
from narrows.runtime.redis.store import Store
from orchestrator.scaling.engines.compose import ComposeService
from orchestrator.scaling.engines.draining import ORPHAN_MS
from orchestrator.scaling.replicas import ActuationFailed, CapacityExhausted, StaleLeader
from tests.integration.engines.conftest import Dispatcher, drained, settled, until
from tests.unit.scaling.recorded_docker import RecordedDocker, served

GPU = {"Driver": "nvidia", "Count": 0, "DeviceIDs": ["0"], "Capabilities": [["gpu"]], "Options": {}}
Make = Callable[..., AbstractAsyncContextManager[ComposeService]]


@pytest.fixture
def docker() -> Iterator[RecordedDocker]:
    docker = RecordedDocker()
    docker.add("narrows", "triton", 1)
    docker.add("narrows", "redis", 1)
    yield docker
    assert "narrows-redis-1" in docker.running()


@pytest.fixture
def make(docker: RecordedDocker, store: Store) -> Make:
    @asynccontextmanager
    async def made(**options: object) -> AsyncIterator[ComposeService]:
        async with served(docker) as url:
            engine = ComposeService("narrows", "triton", store, docker_url=url, **options)  # type: ignore[arg-type]
            yield engine
            await engine.close()

    return made


async def test_up_and_down_and_a_template_at_none(docker: RecordedDocker, make: Make, store: Store) -> None:
    async with make() as engine:
        await engine.scale(3, await engine.observe(), 1)
        assert docker.running() == ["narrows-redis-1", "narrows-triton-1", "narrows-triton-2", "narrows-triton-3"]
        await engine.scale(0, await settled(engine, 3), 1)
        await settled(engine, 0)

        async def one_left() -> bool:
            return len(docker.containers) == 2

        await until(one_left)
        for _ in range(2):  # the template itself comes and goes, too, however soon
            await engine.scale(1, await engine.observe(), 1)
            assert (await settled(engine, 1)).wanted == 1
            await engine.scale(0, await engine.observe(), 1)
            assert (await settled(engine, 0)).wanted == 0


async def test_each_server_has_a_gpu_of_its_own(docker: RecordedDocker, make: Make) -> None:
    """No GPU was at hand: what is asked of the engine is looked at, not what it does."""
    for each in docker.containers.values():
        each["HostConfig"]["DeviceRequests"] = [GPU]
    async with make(gpus=["0", "GPU-b"]) as engine:
        seen = await engine.observe()
        assert seen.slots == 2
        await engine.scale(2, seen, 1)
        clone = next(each for each in docker.containers.values() if each["Name"] == "/narrows-triton-2")
        assert clone["HostConfig"]["DeviceRequests"] == [GPU | {"DeviceIDs": ["GPU-b"]}]
        with pytest.raises(CapacityExhausted, match="2 slots"):
            await engine.scale(3, await engine.observe(), 1)


async def test_a_clone_that_does_not_start_is_not_left_behind(docker: RecordedDocker, make: Make) -> None:
    docker.refuse_start = True
    async with make() as engine:
        with pytest.raises(ActuationFailed, match="could not select device driver"):
            await engine.scale(2, await engine.observe(), 1)
    assert len(docker.containers) == 2


async def test_without_any_container_it_says_what_to_do(docker: RecordedDocker, make: Make) -> None:
    docker.containers = {each: made for each, made in docker.containers.items() if "redis" in made["Name"]}
    async with make() as engine:
        assert (await engine.observe()).wanted == 0
        with pytest.raises(ActuationFailed, match="docker compose up -d"):
            await engine.scale(1, await engine.observe(), 1)


async def test_an_engine_that_does_not_answer_is_said(store: Store) -> None:
    engine = ComposeService("narrows", "triton", store, docker_url="tcp://127.0.0.1:1")
    with pytest.raises(ActuationFailed, match="does not answer"):
        await engine.observe()
    await engine.close()


async def test_what_a_dead_leader_was_emptying_gets_work_again(
    docker: RecordedDocker, make: Make, store: Store, dispatcher: Dispatcher
) -> None:
    async with make() as engine:
        await engine.scale(2, await engine.observe(), 1)
        first, second = (await settled(engine, 2)).servers
        now_ms = await store.time_ms()
        await store.call("HSET", ScaleKeys.DRAINING, first, int(now_ms - ORPHAN_MS / 2), "10.9.9.9:8001", 1)
        seen = await engine.observe()
        assert (seen.wanted, seen.ready, seen.draining) == (1, 1, 1)  # it may still be at work
        await store.call("HSET", ScaleKeys.DRAINING, first, int(now_ms - ORPHAN_MS - 1000))
        seen = await engine.observe()
        assert (seen.wanted, seen.ready, seen.draining) == (2, 2, 0)
        assert await drained(store) == {"10.9.9.9:8001"}  # that of another engine is not ours to judge
        assert {first, second} == set(seen.servers)


async def test_who_gives_up_leading_lets_servers_work_on(
    docker: RecordedDocker, make: Make, store: Store, dispatcher: Dispatcher
) -> None:
    async with make() as engine:
        seen = await settled(engine, 1)
        dispatcher.outstanding = dict.fromkeys(seen.servers, 1)
        await engine.scale(0, seen, 1)
        assert await drained(store)
    assert await drained(store) == set()
    assert "narrows-triton-1" in docker.running()


async def test_a_server_that_never_gets_empty_goes_after_its_time(
    docker: RecordedDocker, make: Make, store: Store, dispatcher: Dispatcher
) -> None:
    async with make(drain_s=1.5) as engine:
        await engine.scale(2, await engine.observe(), 1)
        seen = await settled(engine, 2)
        dispatcher.outstanding = dict.fromkeys(seen.servers, 1)
        await engine.scale(1, seen, 1)
        await settled(engine, 1)
        assert docker.running() == ["narrows-redis-1", "narrows-triton-1"]


async def test_a_leader_that_was_followed_is_refused(make: Make, store: Store, docker: RecordedDocker) -> None:
    await store.call("SET", ScaleKeys.FENCE, 8)
    async with make() as engine:
        for target in (0, 2):
            with pytest.raises(StaleLeader, match="leader 8"):
                await engine.scale(target, await engine.observe(), 7)
    assert docker.running() == ["narrows-redis-1", "narrows-triton-1"]
