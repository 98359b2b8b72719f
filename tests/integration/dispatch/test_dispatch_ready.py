"""A shard of many streams is told by Redis which are written, and reads those; nothing that it is not told is lost."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from narrows.contract.bundle import Bundle
from narrows.contract.wire.keys import GROUP
from narrows.runtime.redis.store import PackedRead, RawEntry
from orchestrator.dispatch import Connected, Dispatcher, DispatchSettings, Store
from orchestrator.dispatch.ready_streams import ReadyStreams
from orchestrator.dispatch.shard import Shard
from orchestrator.dispatch.stream import Stream
from orchestrator.servers import LocalRedis
from tests.integration.dispatch.conftest import closing
from tests.integration.dispatch.rig import QUICK, SHARDS, Camera, MakeCamera, RuleDecoder, Start, holds, until
from tests.integration.while_running import while_running

TOLD = replace(QUICK, waited_streams=0)
PREFIX = "narrows:{0}:in:"


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Reads of new entries, and the streams that they name."""
    counted, read_new = Counter[str](), Store.read_new

    async def counting(store: Store, read: PackedRead, most_bytes: int) -> dict[bytes, list[RawEntry]]:
        counted["reads"] += 1
        counted["keys"] += read.command.count(b":in:")
        counted["waits"] += b"BLOCK" in read.command
        return await read_new(store, read, most_bytes)

    monkeypatch.setattr(Store, "read_new", counting)
    return counted


async def _told(dispatcher: Dispatcher, *cameras: Camera) -> None:
    """Wait until all these are known, and each of their shards is told what is written."""

    def told() -> bool:
        owned = [(dispatcher.shards.get(camera.keys.shard), camera.stream) for camera in cameras]
        return all(shard is not None and shard.followed and stream in shard.streams for shard, stream in owned)

    await until(lambda: holds(told))


async def _settled(dispatcher: Dispatcher, reads: Counter[str]) -> None:
    """Wait until what was ready at first is read: a while without a read."""

    async def quiet() -> bool:
        before = reads.copy()
        await asyncio.sleep(0.3)
        return reads == before and all(not len(shard._ready) for shard in dispatcher.shards.values())

    await until(quiet)


async def test_a_busy_stream_among_idle_ones_costs_reads_of_its_own_alone(
    dispatching: Start, camera: MakeCamera, store: Store, reads: Counter[str]
) -> None:
    cameras = [camera(f"cam-{number}") for number in range(60)]
    await store.many([("XGROUP", "CREATE", each.keys.features, GROUP, "0", "MKSTREAM") for each in cameras])
    async with dispatching(replace(TOLD, sweep_s=3600.0)) as dispatcher:  # housekeeping has its own look, once
        await _told(dispatcher, *cameras)
        await _settled(dispatcher, reads)
        reads.clear()
        busy, frames = cameras[7], 20
        for count in range(frames):
            await busy.frames(1)
            await busy.ended(mask=1 + count)
        await _settled(dispatcher, reads)
    # a frame is written and, once it ended, deleted: each has the stream read at most once
    assert frames <= reads["keys"] <= 2 * frames + 1
    assert reads["reads"] == reads["keys"]
    assert reads["waits"] == 0


async def test_a_small_shard_waits_in_a_read_of_all_its_streams(
    dispatching: Start, camera: MakeCamera, reads: Counter[str]
) -> None:
    cameras = [camera("cam-1"), camera("cam-2")]
    async with dispatching() as dispatcher:
        for each in cameras:
            await each.frames(3)
            await each.ended(mask=3)
        assert not any(shard.followed for shard in dispatcher.shards.values())
    assert reads["waits"] == reads["reads"] > 0


async def test_a_message_that_is_lost_costs_one_look_of_housekeeping(
    dispatching: Start, camera: MakeCamera, reads: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cam, looks = camera(), list[int]()
    see_lengths = Shard.see_lengths

    def looking(shard: Shard, lengths: Iterable[tuple[Stream, int]], seen_s: float) -> None:
        found = list(lengths)
        looks.extend(length - len(stream.held) for stream, length in found)
        see_lengths(shard, found, seen_s)
        more = {stream for stream, length in found if length > len(stream.held)}
        assert more <= set(shard._ready._ready)

    async with dispatching(TOLD) as dispatcher:
        await cam.frames(1)
        await cam.ended(mask=1)
        await _told(dispatcher, cam)
        monkeypatch.setattr(ReadyStreams, "_of", lambda *_: [])  # every message is lost from now on
        monkeypatch.setattr(Shard, "see_lengths", looking)
        for count in range(2, 6):
            await _settled(dispatcher, reads)
            looks.clear()
            await cam.frames(1)
            await cam.ended(mask=count)
            assert 1 in looks  # by this look, and by nothing else


async def test_what_a_read_had_no_place_for_is_read_next_though_nothing_more_is_written(
    dispatching: Start, camera: MakeCamera, decoder: RuleDecoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    cam, many = camera(), 3 * QUICK.read_count
    async with dispatching(TOLD) as dispatcher:
        await cam.frames(1)
        await cam.ended(mask=1)
        await _told(dispatcher, cam)
        monkeypatch.setattr(Shard, "see_lengths", lambda *_: None)
        decoder.gate.clear()  # no frame ends, so none is deleted, which would be a write
        bodies = [cam.packet().to_bytes() for _ in range(many)]
        await cam.store.many([("XADD", cam.keys.features, "*", "p", body) for body in bodies])
        await until(lambda: holds(lambda: dispatcher.shards[cam.keys.shard].held == many))
        decoder.gate.set()
        await cam.ended(mask=1 + many)
        assert dispatcher.shards[cam.keys.shard].held == 0


async def test_frames_that_come_while_the_connection_is_cut_again_and_again_all_end(
    dispatching: Start, camera: MakeCamera, server: LocalRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    cam, admin = camera(), Store.connect(server.url)
    async with closing(admin), dispatching(TOLD) as dispatcher:
        await cam.settings(b'{"policy": "complete"}')
        await cam.frames(1)
        await cam.ended(mask=1)
        monkeypatch.setattr(Shard, "see_lengths", lambda *_: None)  # no look saves what is lost
        for count in range(5):
            await _told(dispatcher, cam)
            (following,) = [line for line in (await admin.call("CLIENT", "LIST")).splitlines() if _tracks(line)]
            await cam.frames(1)
            await admin.call("CLIENT", "KILL", "ID", following.split()[0].removeprefix(b"id="))
            await cam.frames(2)
            await cam.ended(mask=4 + 3 * count)
    assert await cam.unfinished() == 0


def _tracks(line: bytes) -> bool:
    flags = next(word for word in line.split() if word.startswith(b"flags="))
    return b"B" in flags


async def test_a_server_that_does_not_say_what_is_written_is_read_as_a_small_shard_is(
    server: LocalRedis, camera: MakeCamera, bundle: Bundle, store: Store, reads: Counter[str]
) -> None:
    await store.call("ACL", "SETUSER", "untold", "reset", "on", ">pw", "~*", "+@all", "-client|tracking")
    cameras = [camera(f"cam-{number}") for number in range(8)]
    try:
        with capture_logs() as lines:
            async with _as_user(server, "untold", bundle) as dispatcher:
                for each in cameras:
                    await each.frames(2)
                    await each.ended(mask=2)
                await until(lambda: holds(lambda: any(line["event"] == "tracking_refused" for line in lines)))
                assert not any(shard.followed for shard in dispatcher.shards.values())
    finally:
        await store.call("ACL", "DELUSER", "untold")
    (said,) = [line for line in lines if line["event"] == "tracking_refused"]  # of all shards, once
    assert "client|tracking" in said["error"]
    assert reads["waits"] == reads["reads"] > 0


@asynccontextmanager
async def _as_user(server: LocalRedis, user: str, bundle: Bundle) -> AsyncIterator[Dispatcher]:
    own = Store.connect(server.url.replace("redis://", f"redis://{user}:pw@"))

    async def connect() -> Connected:
        return Connected(RuleDecoder())

    async with closing(own):
        dispatcher = await Dispatcher.create(own, {bundle.id: (bundle, connect)}, TOLD, shards=SHARDS)
        async with while_running(dispatcher):
            yield dispatcher


async def test_a_new_stream_is_found_by_its_first_frame_where_names_are_asked_for_seldom(
    dispatching: Start, camera: MakeCamera, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = [camera(f"cam-{number}") for number in range(12)]  # some in each shard
    async with dispatching(replace(TOLD, discover_s=0.02)) as dispatcher:
        for each in known:
            await each.frames(1)
            await each.ended(mask=1)
        await _told(dispatcher, *known)
        assert {each.keys.shard for each in known} == set(range(SHARDS))
        monkeypatch.setattr("orchestrator.dispatch.dispatcher._LONGEST_PAUSE_S", 1e9)
        new = camera("cam-new")
        await new.frames(1)
        await new.ended(mask=1)


async def test_the_server_says_what_cameras_write_and_not_what_a_dispatcher_reads(store: Store) -> None:
    told: asyncio.Queue[Sequence[bytes] | None] = asyncio.Queue()
    following = asyncio.create_task(store.follow_writes(PREFIX, told.put_nowait, lambda: True))
    assert await told.get() is None
    key, other = f"{PREFIX}cam-1", "narrows:{1}:in:cam-2"
    entry = await store.call("XADD", key, "*", "p", b"x")
    assert await told.get() == [key.encode()]
    await store.call("XADD", other, "*", "p", b"x")
    await store.call("XGROUP", "CREATE", key, GROUP, "0")
    while not told.empty():
        told.get_nowait()  # making a group is a write
    await store.call("XREADGROUP", "GROUP", GROUP, "me", "STREAMS", key, ">")
    await store.call("XCLAIM", key, GROUP, "you", 0, entry)
    await store.call("XACK", key, GROUP, entry)
    await store.call("XADD", key, "*", "p", b"y")
    assert await told.get() == [key.encode()]
    assert told.empty()  # of all that came before, nothing
    await store.call("FLUSHALL")
    assert await told.get() is None
    following.cancel()
    with suppress(asyncio.CancelledError):
        await following


def test_a_shard_is_told_by_default_once_it_has_more_streams_than_one_read_should_name() -> None:
    assert DispatchSettings().waited_streams == 32


async def test_a_shard_without_streams_is_not_looked_at_until_it_has_one(
    camera: MakeCamera, dispatching: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An install may have a thousand shards, and one dispatcher."""
    read_any, looks = Shard._read_any, Counter[int]()

    async def counted(shard: Shard) -> int:
        looks[shard.lease.shard] += 1
        return await read_any(shard)

    monkeypatch.setattr(Shard, "_read_any", counted)
    cam = camera()
    async with dispatching() as dispatcher:
        await until(lambda: holds(lambda: len(dispatcher.shards) == SHARDS))
        await cam.frames(3)
        await cam.ended(mask=3)
        assert looks.pop(cam.keys.shard) > 1
        assert looks == dict.fromkeys(dispatcher.shards.keys() - {cam.keys.shard}, 1)
