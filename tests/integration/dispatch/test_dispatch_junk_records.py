"""Junk in Redis beside the entries: each is named and counted, and neither its neighbours nor the dispatcher mind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from structlog.testing import capture_logs
from structlog.types import EventDict

from narrows.contract.wire import ShardKeys, StreamKeys, shard_of
from narrows.contract.wire.keys import DISPATCHERS_KEY, ScaleKeys
from orchestrator.dispatch import Dispatcher, Store
from orchestrator.dispatch.lease import Leases
from orchestrator.dispatch.window import epoch_field
from orchestrator.shards.fence import token_of
from tests.integration.dispatch.rig import QUICK, SHARDS, MakeCamera, Start, until

NEIGHBOUR = next(name for n in range(100) if shard_of(name := f"n-{n}", SHARDS) == shard_of("cam-1", SHARDS))
REPORT = (
    b'{"v":1,"name":"x","at_ms":%s,"streams":1,"backlog_frames":0,"backlog_age_s":0,"saturation":0,"realtime_ended":0,'
    b'"realtime_late":0,"bundles":{},"servers":{}}'
)


@pytest.fixture(autouse=True)
def logs() -> Iterator[list[EventDict]]:
    """What is logged; drawing tracebacks would hold the loop up for seconds."""
    with capture_logs() as found:
        yield found


def counted(dispatcher: Dispatcher, name: str, **labels: str) -> float:
    return dispatcher.metrics.registry.get_sample_value(name, labels) or 0.0


def crashes(dispatcher: Dispatcher) -> float:
    (family,) = (each for each in dispatcher.metrics.registry.collect() if each.name == "narrows_loop_crashes")
    return sum(sample.value for sample in family.samples if sample.name.endswith("_total"))


async def test_a_field_that_is_no_window_is_counted_and_frames_go_on(
    camera: MakeCamera, dispatching: Start, store: Store
) -> None:
    cam, neighbour = camera(), camera(NEIGHBOUR)
    await store.call("HSET", cam.keys.seen, "junk", "x")
    async with dispatching() as dispatcher:
        for each in (cam, neighbour):
            await each.frames(3)
        for each in (cam, neighbour):
            await each.ended(mask=3)

        async def named() -> bool:
            return counted(dispatcher, "narrows_records_refused_total", record="window") == 1

        await until(named)
        await store.call("HSET", cam.keys.seen, epoch_field(99), "x")  # an epoch that nothing more is sent of
        await cam.frames(2)
        await cam.ended(mask=5)
        assert crashes(dispatcher) == 0


async def test_a_window_that_is_none_holds_up_its_own_epoch_alone(
    camera: MakeCamera, dispatching: Start, store: Store
) -> None:
    cam, neighbour = camera(), camera(NEIGHBOUR)
    await store.call("HSET", cam.keys.seen, epoch_field(7), "x")
    async with dispatching(replace(QUICK, claim_idle_ms=200)):
        await cam.frames(1)
        await neighbour.frames(5)
        await neighbour.ended(mask=5)
        await store.call("HDEL", cam.keys.seen, epoch_field(7))
        await until(lambda: _none_left(cam.keys, store))


async def _none_left(keys: StreamKeys, store: Store) -> bool:
    return int(await store.call("XLEN", keys.features)) == 0


@pytest.mark.parametrize("junk", ["abc", "", "1e999", "0x10", "-1", "nan", "9" * 40, " 7"])
async def test_a_fence_that_holds_no_token_is_replaced_and_named(store: Store, junk: str) -> None:
    keys, replaced = ShardKeys(3), list[int]()
    await store.call("SET", keys.fence, junk)
    leases = Leases(store, "me", SHARDS, 5000, replaced=lambda: replaced.append(1))
    gained = await leases.acquire(SHARDS)
    assert len(gained) == SHARDS
    assert replaced == [1]
    assert await leases.renew() == []


async def test_a_fence_that_becomes_junk_while_its_shard_is_owned_is_owned_again(
    camera: MakeCamera, dispatching: Start, store: Store
) -> None:
    cam = camera()
    async with dispatching() as dispatcher:
        await cam.frames(1)
        await cam.ended(mask=1)
        await store.call("SET", ShardKeys(cam.keys.shard).fence, "abc")
        await store.call("SET", ShardKeys(cam.keys.shard).lease, "junk")  # and it never expires
        await cam.frames(1)
        await cam.ended(mask=2)
        assert crashes(dispatcher) == 0


@pytest.mark.parametrize("at_ms", [b"1e999", b"NaN", b"-1", b"9" * 400, b"[" * 5000 + b"]" * 5000, b'"\xff"'])
async def test_a_report_that_is_none_crashes_no_dispatcher(
    camera: MakeCamera, dispatching: Start, store: Store, at_ms: bytes
) -> None:
    cam = camera()
    async with dispatching() as dispatcher:
        await store.call("HSET", ScaleKeys.REPORTS, "x", REPORT % at_ms)
        await dispatcher._rate_requests.look()
        await cam.frames(2)
        await cam.ended(mask=2)
        assert crashes(dispatcher) == 0


async def test_a_shard_whose_settings_cannot_be_read_leaves_the_other_shards_theirs(
    camera: MakeCamera, dispatching: Start, store: Store
) -> None:
    cam = camera()
    other = next(camera(name) for n in range(100) if shard_of(name := f"o-{n}", SHARDS) != cam.keys.shard)
    await store.call("SET", ShardKeys(cam.keys.shard).streams, "no hash")
    async with dispatching():
        await cam.frames(1)
        await other.frames(3)
        await other.ended(mask=3)
        await store.call("DEL", ShardKeys(cam.keys.shard).streams)
        await cam.ended(mask=1)


async def test_a_dispatcher_of_a_name_that_is_no_text_counts_as_one(store: Store) -> None:
    leases = Leases(store, "me", SHARDS, 60_000)
    await leases.heartbeat()
    seconds, _ = await store.call("TIME")
    await store.call("ZADD", DISPATCHERS_KEY, int(seconds) * 1000, b"\xff\xfe")
    assert await leases.heartbeat() == SHARDS // 2


def test_no_lease_has_no_token() -> None:
    assert token_of(None, "narrows:{0}:fence") is None
    assert token_of([b"7", b""], "narrows:{0}:fence") == "7"


async def test_an_error_that_nobody_foresaw_ends_no_loop(
    camera: MakeCamera, dispatching: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each loop is made to crash once; afterwards all goes on as before."""
    monkeypatch.setattr("narrows.runtime.loop_guard._FIRST_S", 0.01)
    cam = camera()
    async with dispatching(replace(QUICK, gap_s=60.0)) as dispatcher:
        await cam.frames(1)
        await cam.ended(mask=1)
        crashed = set[str]()

        def crash_once(owner: object, method: str) -> None:
            kept, name = getattr(owner, method), f"{type(owner).__name__}.{method}"

            def crash(*args: object, **kwargs: object) -> object:
                if name not in crashed:
                    crashed.add(name)
                    raise ZeroDivisionError(name)
                return kept(*args, **kwargs)

            monkeypatch.setattr(owner, method, crash)

        (batcher,) = dispatcher.batchers.values()
        for owner, method in (
            (dispatcher, "_beat"),
            (dispatcher._discovery, "look"),
            (dispatcher._sweep, "round"),
            (dispatcher._sweep, "look_at_decoders"),
            (dispatcher._path.finisher, "_send"),
            (dispatcher._reporting, "report"),
            (dispatcher._rate_requests, "look"),
            (batcher, "_begin_batch"),
            (batcher._runner, "_run"),
            (dispatcher.shards[cam.keys.shard], "_read_new"),
        ):
            crash_once(owner, method)
        await cam.frames(4)
        await cam.ended(mask=5)
        await until(lambda: _all_of(crashed, 10))
        await cam.frames(4)
        await cam.ended(mask=9)
        assert crashes(dispatcher) >= 7


async def _all_of(crashed: set[str], number: int) -> bool:
    return len(crashed) >= number
