"""Redis' clock was set back: what was written while it was ahead outlives nobody by as much."""

from collections.abc import Awaitable, Callable

from narrows.wire import Control, ShardKeys
from narrows.wire.keys import DISPATCHERS_KEY, ScaleKeys
from orchestrator.autoscale.leader import Leadership
from orchestrator.dispatch import Store
from tests.integration.dispatch.rig import SHARDS, MakeCamera, Start, until

AN_HOUR_MS = 3_600_000


async def test_the_leases_of_owners_that_died_while_the_clock_was_ahead_lapse_in_their_usual_time(
    camera: MakeCamera, dispatching: Start, store: Store
) -> None:
    cam = camera()
    for shard in range(SHARDS):
        await store.call("SET", ShardKeys(shard).lease, "1 dead", "PX", AN_HOUR_MS)
    await cam.frames(3)
    async with dispatching():
        await cam.ended(mask=3)


async def test_a_lease_that_is_not_too_long_is_left_to_its_owner(dispatching: Start, store: Store) -> None:
    key = ShardKeys(0).lease
    await store.call("SET", key, "1 other", "PX", 400)
    async with dispatching() as dispatcher:
        await until(_true(lambda: dispatcher.health.shards_owned == SHARDS - 1))
        assert await store.call("GET", key) in (b"1 other", None)
        await until(_true(lambda: dispatcher.health.shards_owned == SHARDS))


async def test_a_heartbeat_from_the_future_counts_as_nobodys(dispatching: Start, store: Store) -> None:
    future_ms = await store.time_ms() + AN_HOUR_MS
    await store.call("ZADD", DISPATCHERS_KEY, int(future_ms), "dead")
    async with dispatching() as dispatcher:
        await until(_true(lambda: dispatcher.health.shards_due == dispatcher.health.shards_owned == SHARDS))
        assert await store.call("ZRANGE", DISPATCHERS_KEY, 0, -1) == [dispatcher.name.encode()]


async def test_the_autoscalers_lease_lapses_likewise(store: Store) -> None:
    await store.call("SET", ScaleKeys.LEADER, "1 dead", "PX", AN_HOUR_MS)
    follower = Leadership(store, "follower", ttl_ms=100)
    assert await follower.hold() is None

    async def leads() -> bool:
        return await follower.hold() is not None

    await until(leads)


async def test_a_control_record_of_a_dead_owner_lapses_likewise_and_an_operators_own_stays(
    camera: MakeCamera, dispatching: Start, store: Store
) -> None:
    dead, operated = camera("dead"), camera("operated")
    await store.call("SET", dead.keys.control, Control(frames_per_s=1.0).to_json(), "PX", AN_HOUR_MS)
    await store.call("SET", operated.keys.control, Control(level=1).to_json())
    await dead.frames(1)
    await operated.frames(1)
    async with dispatching():
        await dead.ended(mask=1)
        await operated.ended(mask=1)
        assert 0 < await store.call("PTTL", dead.keys.control) <= 30_000
        assert await store.call("PTTL", operated.keys.control) == -1


def _true(condition: Callable[[], bool]) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        return condition()

    return look
