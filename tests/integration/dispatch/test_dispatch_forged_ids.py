"""Entry ids that a camera chose: refused by name, and believed by nothing."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from narrows.contract.wire import Refusal
from narrows.contract.wire.keys import GROUP
from orchestrator.dispatch import Dispatcher, Store
from orchestrator.dispatch.frame_path import FramePath
from orchestrator.scaling.unowned import UnownedBacklog
from tests.integration.dispatch.rig import BOTH_READINGS, QUICK, Camera, MakeCamera, Start, until

DAY_MS = 86_400_000
LAST = b"18446744073709551615-18446744073709551615"


@pytest.mark.parametrize("chosen", ["past", "first", "yesterday", "ahead", "last"])
@BOTH_READINGS
async def test_a_chosen_id_is_refused_by_name_and_counts_as_nothing_else(
    camera: MakeCamera, dispatching: Start, store: Store, chosen: str
) -> None:
    cam, neighbour = camera("cam"), camera("neighbour", epoch=9)
    now_ms = int(await store.time_ms())
    entries: dict[str, str | bytes] = {
        "past": "1-1",
        "first": "0-1",
        "yesterday": f"{now_ms - DAY_MS}-0",
        "ahead": f"{now_ms + 60_000}-0",
        "last": LAST,
    }
    async with dispatching() as dispatcher:
        await neighbour.frames(1)
        await neighbour.ended(mask=1)
        await store.call("XADD", cam.keys.features, entries[chosen], "p", cam.packet().to_bytes())
        await cam.ended(refused=1, **{"refused:forged_id": 1})
        await neighbour.frames(2)
        await neighbour.ended(mask=3)
        await until(_holds(lambda: _slo(dispatcher) == {"yes": 3.0, "no": 0.0}))
        for stage in ("redis", "uplink", "total"):
            assert _metric(dispatcher, "narrows_stage_seconds_count", stage=stage) == 3
            assert _metric(dispatcher, "narrows_stage_seconds_sum", stage=stage) < 60
        assert dispatcher._path.objective.realtime_ended == 3
        assert dispatcher.shards[cam.keys.shard].streams["cam"].taken_in == 0
    (refusal,) = await cam.outcomes()
    assert isinstance(refusal, Refusal)
    assert refusal.identity is not None


@pytest.mark.parametrize("chosen", ["a minute ahead", "the last there is"])
async def test_a_camera_whose_key_was_poisoned_recovers_with_the_ids_that_redis_gives(
    camera: MakeCamera, dispatching: Start, store: Store, chosen: str
) -> None:
    cam = camera()
    async with dispatching():
        await cam.frames(1)
        await cam.ended(mask=1)
        entry = LAST if "last" in chosen else f"{int(await store.time_ms()) + 60_000}-7"
        await store.call("XADD", cam.keys.features, entry, "p", cam.packet().to_bytes())
        await cam.ended(mask=1, refused=1)
        await until(lambda: _clock_is_right(store, cam))
        await cam.frames(3)
        await cam.ended(mask=4, refused=1)


async def test_so_it_does_where_no_entry_is_left_of_the_poison(
    camera: MakeCamera, dispatching: Start, store: Store
) -> None:
    cam = camera()
    await store.call("XADD", cam.keys.features, "MAXLEN", 0, LAST, "p", b"")
    async with dispatching():
        await until(lambda: _clock_is_right(store, cam))
        await cam.frames(2)
        await cam.ended(mask=2)
    assert await cam.ledger() == {"mask": 2}


async def test_ids_of_a_server_whose_clock_was_a_second_ahead_are_taken(
    camera: MakeCamera, dispatching: Start, store: Store
) -> None:
    cam = camera()
    async with dispatching() as dispatcher:
        await until(_holds(lambda: bool(dispatcher.shards)))
        entry = f"{int(await store.time_ms()) + 1000}-0"
        await store.call("XADD", cam.keys.features, entry, "p", cam.packet().to_bytes())
        await cam.frames(1)
        await cam.ended(mask=2)
        await until(_holds(lambda: _slo(dispatcher) == {"yes": 2.0, "no": 0.0}))


async def test_what_waited_for_a_dispatcher_for_a_day_is_no_forgery(
    camera: MakeCamera, dispatching: Start, store: Store
) -> None:
    cam = camera()
    await cam.settings(b'{"policy": "complete"}')
    yesterday_ms = int(await store.time_ms()) - DAY_MS
    for n in range(3):
        await store.call("XADD", cam.keys.features, f"{yesterday_ms}-{n}", "p", cam.packet().to_bytes())
    async with dispatching():
        await cam.ended(mask=3)


@BOTH_READINGS
async def test_a_group_that_is_made_anew_gives_out_old_entries_and_they_are_no_forgeries(
    camera: MakeCamera, dispatching: Start, store: Store
) -> None:
    cam = camera()
    await cam.settings(b'{"policy": "complete"}')
    async with dispatching() as dispatcher:
        await cam.frames(1)
        await cam.ended(mask=1)
        stream = dispatcher.shards[cam.keys.shard].streams[cam.stream]
        old = f"{stream.read_to[0] - 3_600_000}-0"
        copy = f"copy:{cam.keys.features}"
        await store.call("XADD", copy, old, "p", cam.packet().to_bytes())
        await store.call("XGROUP", "CREATE", copy, GROUP, "0")
        await store.call("RESTORE", cam.keys.features, 0, await store.call("DUMP", copy), "REPLACE")
        await cam.ended(mask=2)


async def test_forged_ids_age_no_backlog(
    camera: MakeCamera, dispatching: Start, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    cam = camera()
    monkeypatch.setattr(FramePath, "take_up", _never)
    await store.call("XADD", cam.keys.features, "1-1", "p", cam.packet().to_bytes())
    async with dispatching(replace(QUICK, drain_s=0.0)) as dispatcher:
        await until(_holds(lambda: dispatcher._sweep.seen.frames == 1))
        assert dispatcher._sweep.seen.age_s < 60
        assert (await UnownedBacklog(store).count(())).age_s == 0
        assert dispatcher._sweep.seen.streams == 0


async def _never(*_: object) -> None:
    await asyncio.Event().wait()


async def _clock_is_right(store: Store, cam: Camera) -> bool:
    info = await store.call("XINFO", "STREAM", cam.keys.features)
    last_ms = int(info[info.index(b"last-generated-id") + 1].partition(b"-")[0])
    return last_ms <= await store.time_ms()


def _slo(dispatcher: Dispatcher) -> dict[str, float]:
    return {
        within: _metric(dispatcher, "narrows_slo_frames_total", policy="realtime", within=within)
        for within in ("yes", "no")
    }


def _metric(dispatcher: Dispatcher, name: str, **labels: str) -> float:
    return dispatcher.metrics.registry.get_sample_value(name, labels) or 0.0


def _holds(condition: Callable[[], bool]) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        return condition()

    return look


async def test_what_waited_while_its_stream_could_not_be_read_is_no_forgery(
    store: Store, camera: MakeCamera, dispatching: Start
) -> None:
    cam = camera()
    await cam.frames(3)
    await store.call("RENAME", cam.keys.features, "elsewhere")
    try:
        async with dispatching():
            await asyncio.sleep(0.2)
            await store.call("CONFIG", "SET", "maxmemory", 1)  # no group can be made: the stream is found and not read
            await store.call("RENAME", "elsewhere", cam.keys.features)
            await asyncio.sleep(2.5)
            await store.call("CONFIG", "SET", "maxmemory", 0)
            await cam.ended(mask=3)
    finally:
        await store.call("CONFIG", "SET", "maxmemory", 0)
    assert await cam.ledger() == {"mask": 3}
