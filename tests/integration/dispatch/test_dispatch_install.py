"""What stands in Redis for good is looked at while a dispatcher runs: written again where lost, obeyed where not."""

import asyncio

import pytest

from narrows.contract.errors import ServiceError
from narrows.contract.wire import Install
from narrows.contract.wire.keys import DISPATCHERS_KEY, INSTALL_KEY, ScaleKeys
from orchestrator.dispatch import Store
from orchestrator.dispatch.install import disagreement
from tests.integration.dispatch.rig import SHARDS, MakeCamera, Start, until


async def test_a_redis_that_was_emptied_gets_its_records_back_and_frames_end(
    store: Store, dispatching: Start, camera: MakeCamera
) -> None:
    async with dispatching() as dispatcher:
        cam = camera()
        await cam.frames(2)
        await cam.ended(mask=2)
        await store.call("FLUSHALL")

        async def back() -> bool:
            return int(await store.call("EXISTS", INSTALL_KEY, DISPATCHERS_KEY, ScaleKeys.REPORTS)) == 3

        await until(back)
        assert Install.parse(await store.call("GET", INSTALL_KEY)).shards == SHARDS
        await cam.frames(3)
        await cam.ended(mask=3)
        assert dispatcher.health.reasons_not_ready() == []


async def test_a_dispatcher_in_an_install_of_other_shards_is_unready_says_so_and_takes_nothing(
    store: Store, dispatching: Start, camera: MakeCamera
) -> None:
    async with dispatching() as dispatcher:
        cam = camera()
        await cam.frames(1)
        await cam.ended(mask=1)
        await store.call("SET", INSTALL_KEY, Install(SHARDS + 1).to_json())

        async def has_left() -> bool:
            return not dispatcher.shards and not await store.call("ZCARD", DISPATCHERS_KEY)

        await until(has_left)
        (reason,) = dispatcher.health.reasons_not_ready()
        assert reason == f"{INSTALL_KEY} says {SHARDS + 1} shards, and this process began with {SHARDS}: start it again"
        await cam.frames(1)
        await asyncio.sleep(0.3)  # several beats
        assert await cam.unfinished() == 1
        labels = {"cause": "install_differs"}
        assert dispatcher.metrics.registry.get_sample_value("narrows_faults_total", labels) == 1
        await store.call("SET", INSTALL_KEY, Install(SHARDS).to_json())
        await cam.ended(mask=2)
        await until(lambda: _is([], dispatcher.health.reasons_not_ready()))


async def _is(wanted: list[str], found: list[str]) -> bool:
    return wanted == found


@pytest.mark.parametrize("record", [b"", b"{}", b"\xff", b'{"v":1,"shards":1e999}'])
async def test_a_record_that_cannot_be_read_is_named_with_what_it_should_be(store: Store, record: bytes) -> None:
    await store.call("SET", INSTALL_KEY, record)
    said = await disagreement(store, SHARDS)
    assert said.startswith(f"{INSTALL_KEY} cannot be read")
    assert Install(SHARDS).to_json().decode() in said
    assert await store.call("GET", INSTALL_KEY) == record


async def test_a_server_that_refuses_is_no_disagreement(store: Store) -> None:
    await store.call("DEL", INSTALL_KEY)
    await store.call("RPUSH", INSTALL_KEY, "a list")
    with pytest.raises(ServiceError, match="WRONGTYPE"):
        await disagreement(store, SHARDS)


async def test_a_full_server_is_no_trouble_where_the_record_is_there(store: Store) -> None:
    """Leases hang on it: a dispatcher that could not look would stop saying that it lives."""
    assert await disagreement(store, SHARDS) == ""
    await store.call("CONFIG", "SET", "maxmemory", 1)
    try:
        assert await disagreement(store, SHARDS) == ""
    finally:
        await store.call("CONFIG", "SET", "maxmemory", 0)
