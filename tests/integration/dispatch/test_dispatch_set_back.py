"""Redis' clock was set back: what was written while it was ahead outlives nobody by as much."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from narrows.contract.bundle import Bundle
from narrows.contract.wire import Control, ShardKeys
from narrows.contract.wire.keys import DISPATCHERS_KEY, ScaleKeys
from narrows.runtime.redis.store import pairs
from orchestrator.dispatch import Connected, Dispatcher, Store
from orchestrator.scaling.leader import Leadership
from orchestrator.servers import LocalRedis
from orchestrator.shards.entry_id import entry_ms
from tests.integration.dispatch.conftest import closing
from tests.integration.dispatch.rig import QUICK, SHARDS, Camera, MakeCamera, RuleDecoder, Start, until
from tests.integration.dispatch.set_clock import SetClock, redis_with_a_clock
from tests.integration.while_running import while_running

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


@pytest.fixture
def clocked(tmp_path: Path) -> Iterator[tuple[LocalRedis, SetClock]]:
    with redis_with_a_clock(tmp_path, ahead_s=3600) as pair:
        yield pair


@asynccontextmanager
async def connected(server: LocalRedis) -> AsyncIterator[Store]:
    store = Store.connect(server.url)
    async with closing(store):
        yield store


async def set_back(clock: SetClock, store: Store) -> None:
    """Set the clock right, and wait until the server tells the time by it: it looks at the clock now and then alone."""
    ahead_ms = await store.time_ms()
    clock.ahead(0)

    async def told() -> bool:
        return await store.time_ms() < ahead_ms

    await until(told)


@asynccontextmanager
async def a_dispatcher(server: LocalRedis, bundle: Bundle, decoder: RuleDecoder) -> AsyncIterator[Dispatcher]:
    async def connect() -> Connected:
        return Connected(decoder)

    async with connected(server) as store:
        dispatcher = await Dispatcher.create(store, {bundle.id: (bundle, connect)}, QUICK, shards=SHARDS)
        async with while_running(dispatcher):
            yield dispatcher


async def test_while_ids_stand_still_ages_count_from_reading_and_what_waits_becomes_stale(
    clocked: tuple[LocalRedis, SetClock], bundle: Bundle, decoder: RuleDecoder
) -> None:
    server, clock = clocked
    async with connected(server) as store, a_dispatcher(server, bundle, decoder) as dispatcher:
        cam, held = Camera(store, bundle, "cam"), Camera(store, bundle, "held")
        await held.settings(b'{"policy": "realtime", "stale_ms": 400}')
        await cam.frames(1)
        await held.frames(1)
        await cam.ended(mask=1)
        await held.ended(mask=1)
        decoder.gate.clear()
        await set_back(clock, store)
        (entry,) = await held.send(held.packet())
        assert entry_ms(entry) > await store.time_ms() + AN_HOUR_MS / 2
        await held.frames(1)
        batcher = next(iter(dispatcher.batchers.values()))
        await until(
            _true(lambda: len(batcher._picker) == 1)
        )  # one is in the batch that hangs, and the other waits for it
        await until(_true(lambda: len(batcher._picker) == 0))  # no longer: it is too old
        decoder.gate.set()
        await held.ended(mask=2, skipped=1)
        assert _metric(dispatcher, "narrows_faults_total", cause="redis_clock_set") == 1
        await until(_true(lambda: _metric(dispatcher, "narrows_redis_clock_set_back_seconds") > 3000))  # at each sweep
        assert _metric(dispatcher, "narrows_stage_seconds_sum", stage="total") < 60
        assert dispatcher._sweep.seen.age_s < 60


async def test_a_stream_that_is_empty_after_the_clock_was_set_back_gets_ids_of_that_clock_again(
    clocked: tuple[LocalRedis, SetClock], bundle: Bundle, decoder: RuleDecoder
) -> None:
    server, clock = clocked
    async with connected(server) as store, a_dispatcher(server, bundle, decoder):
        cam = Camera(store, bundle, "cam")
        await cam.frames(2)
        await cam.ended(mask=2)
        await set_back(clock, store)

        async def is_right() -> bool:
            info = pairs(await store.call("XINFO", "STREAM", cam.keys.features))
            return entry_ms(info[b"last-generated-id"]) <= await store.time_ms()

        await until(is_right)
        await cam.frames(2)
        await cam.ended(mask=4)
        assert await cam.ledger() == {"mask": 4}


async def test_who_takes_over_after_it_was_set_back_takes_what_waits_for_no_forgery(
    clocked: tuple[LocalRedis, SetClock], bundle: Bundle, decoder: RuleDecoder
) -> None:
    server, clock = clocked
    async with connected(server) as store:
        cam = Camera(store, bundle, "cam")
        await cam.settings(b'{"policy": "complete"}')
        async with a_dispatcher(server, bundle, decoder):
            await cam.frames(2)
            await cam.ended(mask=2)
        await cam.frames(2)
        await set_back(clock, store)
        await cam.frames(2)
        async with a_dispatcher(server, bundle, decoder):
            await cam.ended(mask=6)
        assert await cam.ledger() == {"mask": 6}


async def test_a_clock_that_is_set_ahead_is_said_and_makes_nothing_stale_that_is_held(
    clocked: tuple[LocalRedis, SetClock], bundle: Bundle, decoder: RuleDecoder
) -> None:
    server, clock = clocked
    async with connected(server) as store, a_dispatcher(server, bundle, decoder) as dispatcher:
        cam = Camera(store, bundle, "cam")
        await cam.frames(1)
        await cam.ended(mask=1)
        decoder.gate.clear()
        await cam.frames(2)
        await until(_true(lambda: len(dispatcher.shards[cam.keys.shard].streams["cam"].held) == 2))
        clock.ahead(7200)
        await until(_true(lambda: _metric(dispatcher, "narrows_faults_total", cause="redis_clock_set") == 1))
        decoder.gate.set()
        await cam.ended(mask=3)
        await cam.frames(1)
        await cam.ended(mask=4)


def _metric(dispatcher: Dispatcher, name: str, **labels: str) -> float:
    return dispatcher.metrics.registry.get_sample_value(name, labels) or 0.0


def _true(condition: Callable[[], bool]) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        return condition()

    return look
