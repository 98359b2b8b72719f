"""Ownership: each frame ends once, whoever dies, pauses, comes or goes; the ledger adds up."""

import asyncio
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from narrows.contract.wire import FrameIdentity, MaskPacket, ShardKeys
from narrows.contract.wire.keys import DISPATCHERS_KEY, GROUP
from narrows.runtime.redis.store import PackedRead, RawEntry, StoreAway, pairs
from orchestrator.dispatch import Dispatcher, Store
from orchestrator.dispatch.endings import Ending
from orchestrator.dispatch.finish import FinishReply
from orchestrator.dispatch.lease import Lease, Leases
from orchestrator.dispatch.shard import Shard
from orchestrator.dispatch.stream import Frame
from orchestrator.servers import LocalRedis
from tests.integration.dispatch.rig import (
    BOTH_READINGS,
    QUICK,
    SHARDS,
    Camera,
    MakeCamera,
    RuleDecoder,
    Start,
    finished,
    holds,
    until,
)


async def test_an_entry_delivered_twice_ends_once(
    camera: MakeCamera, dispatching: Start, decoder: RuleDecoder, store: Store
) -> None:
    cam = camera()
    decoder.gate.clear()
    async with dispatching() as dispatcher:
        (entry,) = await cam.send(cam.packet())
        await until(lambda: holds(lambda: _held(dispatcher, "cam-1") == 1))
        raw = await store.call("XRANGE", cam.keys.features, entry, entry)
        again = _shard_of(dispatcher, cam)
        again._take_in([(again.streams["cam-1"], [RawEntry(entry, raw[0][1])])], 2)
        decoder.gate.set()
        await until(lambda: holds(lambda: _held(dispatcher, "cam-1") == 0))
    assert await cam.ledger() == {"mask": 1}
    assert len(await cam.outcomes()) == 1


@BOTH_READINGS
async def test_frames_whose_reading_broke_off_are_taken_up_at_once_and_in_their_order(
    camera: MakeCamera, dispatching: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server delivered them and its answer never came, as when it dies or its place is taken right then."""
    cam, lost = camera(), list[bytes]()
    async with dispatching(replace(QUICK, claim_idle_ms=600_000, gap_s=600.0)) as dispatcher:
        await cam.frames(1)
        await cam.ended(mask=1)
        own = _shard_of(dispatcher, cam)._store
        read_new = own.read_new

        async def broken_off(read: PackedRead, most_bytes: int) -> dict[bytes, list[RawEntry]]:
            found = await read_new(read, most_bytes)
            if found and not lost:
                lost.extend(found)
                raise StoreAway("the connection broke before the answer was read")
            return found

        monkeypatch.setattr(own, "read_new", broken_off)
        await cam.frames(3)
        await cam.ended(mask=4)
    assert lost
    ended = [each.identity for each in await cam.outcomes()]
    assert [identity.sequence for identity in ended if identity is not None] == [0, 1, 2, 3]


async def test_a_paused_owner_cannot_finish_late(
    camera: MakeCamera, dispatching: Start, decoder: RuleDecoder, store: Store
) -> None:
    cam, paused_decoder = camera(), RuleDecoder()
    await cam.settings(b'{"policy": "complete"}')
    paused_decoder.gate.clear()
    async with dispatching(with_decoder=paused_decoder) as paused:
        await cam.frames(3)
        await until(lambda: holds(lambda: _held(paused, "cam-1") == 3))
        lease = _shard_of(paused, cam).lease
        frames = list(_shard_of(paused, cam).streams["cam-1"].held.values())
        # another takes the shard behind its back, as after a pause that outlasted the lease
        await store.call("SET", ShardKeys(lease.shard).fence, str(int(lease.token) + 1))
        late = replace(frames[0])  # the frame of who has not noticed: a beat may let go of the others meanwhile
        ended = await finished(paused._path.finisher, late, Ending.skipped("stale", FrameIdentity(7, 0)))
        assert ended.verdict is FinishReply.FENCED
        paused_decoder.gate.set()
        await until(lambda: holds(lambda: lease.lost))
        assert await cam.outcomes() == []
    assert await cam.unfinished() == 3
    await store.call("DEL", ShardKeys(lease.shard).lease)
    async with dispatching():
        await cam.ended(mask=3)


async def test_who_is_told_to_stop_while_it_takes_a_shard_ends_and_gives_it_back(
    dispatching: Start, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    acquiring, acquire = asyncio.Event(), Leases.acquire

    async def slowly(leases: Leases, most: int) -> list[Lease]:
        gained = await acquire(leases, most)
        acquiring.set()
        await asyncio.sleep(0.3)
        return gained

    monkeypatch.setattr(Leases, "acquire", slowly)
    async with dispatching(replace(QUICK, lease_ttl_ms=60_000)):
        await acquiring.wait()
    assert [await store.call("EXISTS", ShardKeys(shard).lease) for shard in range(SHARDS)] == [0] * SHARDS
    assert await store.call("ZCARD", DISPATCHERS_KEY) == 0


@BOTH_READINGS
async def test_what_a_dead_dispatcher_took_up_is_claimed_and_ends_before_what_is_new(
    camera: MakeCamera, dispatching: Start
) -> None:
    cam = camera()
    await cam.frames(20)
    await cam.leave_pending()
    await cam.frames(5)
    async with dispatching() as dispatcher:
        await cam.ended(mask=25)
        assert dispatcher.metrics.registry.get_sample_value("narrows_claimed_total") == 20
    masks = [mask for mask in await cam.outcomes() if isinstance(mask, MaskPacket)]
    assert [mask.identity.sequence for mask in masks] == list(range(25))


async def test_consumers_that_are_gone_are_forgotten_once_nothing_of_theirs_is_left(
    camera: MakeCamera, dispatching: Start, store: Store
) -> None:
    cam = camera()
    await cam.frames(3)
    await cam.leave_pending()
    async with dispatching(replace(QUICK, forget_idle_ms=-1)) as dispatcher:
        await cam.ended(mask=3)

        async def only_ours() -> bool:
            consumers = await store.call("XINFO", "CONSUMERS", cam.keys.features, GROUP)
            return [pairs(each)[b"name"] for each in consumers] == [dispatcher.name.encode()]

        await until(only_ours)


@BOTH_READINGS
async def test_a_destroyed_group_is_made_anew_and_nothing_is_lost_or_doubled(
    camera: MakeCamera, dispatching: Start, store: Store
) -> None:
    cam, neighbour = camera("cam"), camera("neighbour")
    async with dispatching():
        await cam.frames(3)
        await cam.ended(mask=3)
        await store.call("XGROUP", "DESTROY", cam.keys.features, GROUP)
        await cam.frames(3)
        await neighbour.frames(3)
        await cam.ended(mask=6)
        await neighbour.ended(mask=3)


@BOTH_READINGS
async def test_a_removed_stream_does_not_disturb_its_neighbours_and_may_come_back(
    camera: MakeCamera, dispatching: Start, store: Store
) -> None:
    cam, neighbour = camera("cam"), camera("neighbour")
    async with dispatching() as dispatcher:
        await cam.frames(1)
        await cam.ended(mask=1)
        await store.call("DEL", cam.keys.features)
        await neighbour.frames(3)
        await neighbour.ended(mask=3)
        await until(lambda: holds(lambda: "cam" not in _shard_of(dispatcher, cam).streams))
        await cam.frames(2)
        await cam.ended(mask=3)


@BOTH_READINGS
async def test_two_dispatchers_share_the_shards_and_hand_them_over(
    camera: MakeCamera, dispatching: Start, store: Store
) -> None:
    cameras = [camera(f"cam-{n}") for n in range(8)]
    async with dispatching() as first:
        await until(lambda: holds(lambda: len(first.shards) == 4))
        async with dispatching(with_decoder=RuleDecoder()) as second:
            for _ in range(10):
                for cam in cameras:
                    await cam.frames(1)
            await until(lambda: holds(lambda: len(first.shards) == len(second.shards) == 2))
            assert not first.shards.keys() & second.shards.keys()
            assert await store.call("ZCARD", DISPATCHERS_KEY) == 2
            for _ in range(5):
                for cam in cameras:
                    await cam.frames(1)
        await until(lambda: holds(lambda: len(first.shards) == 4))
        for cam in cameras:
            await cam.ended(mask=15)
            assert await cam.ledger() == {"mask": 15}
    assert await store.call("ZCARD", DISPATCHERS_KEY) == 0
    for shard in range(4):
        assert await store.call("EXISTS", ShardKeys(shard).lease) == 0


async def test_what_cannot_finish_before_the_end_is_given_back_unspent(
    camera: MakeCamera, dispatching: Start, decoder: RuleDecoder, store: Store
) -> None:
    cam = camera()
    await cam.settings(b'{"policy": "complete"}')
    decoder.gate.clear()
    async with dispatching() as dispatcher:
        await cam.frames(3)
        await until(lambda: holds(lambda: _held(dispatcher, "cam-1") == 3))
    (pending,) = await store.pending([cam.keys.features], GROUP, idle_ms=[0], count=10)
    assert isinstance(pending, list)
    assert [each.deliveries for each in pending] == [0, 0, 0]
    decoder.gate.set()
    async with dispatching():
        await cam.ended(mask=3)


ROOT = Path(__file__).parents[3]
_CHILD = """
import asyncio, sys
from orchestrator.dispatch import Dispatcher, DispatchSettings, Store
from tests.integration.dispatch.conftest import make_bundle
from tests.integration.dispatch.rig import QUICK, SHARDS, RuleDecoder, holds, metric
from orchestrator.dispatch import Connected

async def main():
    bundle, decoder = make_bundle(), RuleDecoder()
    async def connect():
        return Connected(decoder)
    store, served = Store.connect(sys.argv[1]), {bundle.id: (bundle, connect)}
    dispatcher = await Dispatcher.create(store, served, QUICK, shards=SHARDS)
    await dispatcher.run(asyncio.Event())

asyncio.run(main())
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
async def test_a_killed_or_frozen_dispatchers_frames_are_claimed_and_the_ledger_adds_up(
    number: signal.Signals, camera: MakeCamera, dispatching: Start, server: LocalRedis
) -> None:
    cameras = [camera(f"cam-{n}") for n in range(6)]
    for cam in cameras:
        await cam.settings(b'{"policy": "complete"}')
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _CHILD, server.url, stdout=asyncio.subprocess.DEVNULL, cwd=ROOT
    )
    try:
        async with dispatching() as living:
            await until(lambda: holds(lambda: len(living.shards) == 2))
            for n in range(30):
                for cam in cameras:
                    await cam.frames(1)
                if n == 15:
                    child.send_signal(number)
            await until(lambda: holds(lambda: len(living.shards) == 4))
            if number is signal.SIGSTOP:
                child.send_signal(signal.SIGCONT)
            for cam in cameras:
                await cam.ended(mask=30)
            if number is signal.SIGSTOP:
                await until(lambda: holds(lambda: len(living.shards) == 2))
            for cam in cameras:
                assert await cam.ledger() == {"mask": 30}
                assert await cam.unfinished() == 0
                sequences = [each.identity.sequence for each in await cam.outcomes() if isinstance(each, MaskPacket)]
                assert sorted(sequences) == list(range(30))
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()


@BOTH_READINGS
async def test_a_server_that_lost_its_data_is_served_on(camera: MakeCamera, dispatching: Start, store: Store) -> None:
    cam = camera()
    async with dispatching() as dispatcher:
        await cam.frames(2)
        await cam.ended(mask=2)
        await store.call("FLUSHALL")
        await until(lambda: holds(lambda: len(dispatcher.shards) == 4 and not dispatcher.health.reasons_not_ready()))
        await cam.frames(2)
        await cam.ended(mask=2, lost=2)


async def test_tokens_grow_even_if_the_counter_was_lost(dispatching: Start, store: Store) -> None:
    async with dispatching() as dispatcher:
        await until(lambda: holds(lambda: 0 in dispatcher.shards))
        token = int(dispatcher.shards[0].lease.token)
    await store.call("DEL", ShardKeys(0).fence)
    async with dispatching() as dispatcher:
        await until(lambda: holds(lambda: 0 in dispatcher.shards))
        assert int(dispatcher.shards[0].lease.token) > token


def _held(dispatcher: Dispatcher, stream: str) -> int:
    return sum(len(s.streams[stream].held) for s in dispatcher.shards.values() if stream in s.streams)


def _shard_of(dispatcher: Dispatcher, cam: Camera) -> Shard:
    return dispatcher.shards[cam.keys.shard]


async def test_a_lease_is_not_renewed_once_a_newer_token_was_given_out(store: Store) -> None:
    first, second = Leases(store, "first", 1, 1000), Leases(store, "second", 1, 1000)
    (old,) = await first.acquire(1)
    await store.call("DEL", ShardKeys(0).lease)  # it lapsed
    (newer,) = await second.acquire(1)
    await second.release(newer)  # free again, and the first never noticed
    assert await first.renew() == [old]
    assert await store.call("EXISTS", ShardKeys(0).lease) == 0


async def test_shards_that_were_gained_before_the_server_broke_off_are_read(
    camera: MakeCamera, dispatching: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    acquire, breaks = Leases.acquire, [StoreAway("the connection ended")]

    async def broken_off(leases: Leases, most: int) -> list[Lease]:
        gained = await acquire(leases, most)
        if breaks:
            raise breaks.pop()
        return gained

    monkeypatch.setattr(Leases, "acquire", broken_off)
    cam = camera()
    await cam.frames(3)
    async with dispatching() as dispatcher:
        await cam.ended(mask=3)
        assert len(dispatcher.shards) == SHARDS


async def test_a_shard_is_handed_over_though_its_frames_cannot_be_given_back(
    camera: MakeCamera, dispatching: Start, decoder: RuleDecoder, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(_: Shard, __: Frame) -> None:
        raise StoreAway("the connection ended")

    monkeypatch.setattr(Shard, "_give_back", broken)
    cams = [next(cam for cam in map(camera, map(str, range(99))) if cam.keys.shard == shard) for shard in range(SHARDS)]
    decoder.gate.clear()
    async with dispatching(replace(QUICK, drain_s=0.2)) as first:
        await until(lambda: holds(lambda: len(first.shards) == SHARDS))
        for cam in cams:
            await cam.frames(1)
        await until(lambda: holds(lambda: sum(shard.held for shard in first.shards.values()) == SHARDS))
        async with dispatching(with_decoder=RuleDecoder()) as second:
            await until(lambda: holds(lambda: len(second.shards) == len(first.shards) == SHARDS // 2))
            decoder.gate.set()
            for cam in cams:
                await cam.ended(mask=1)


async def test_who_is_told_to_stop_and_cannot_give_frames_back_leaves_all_the_same(
    camera: MakeCamera, dispatching: Start, decoder: RuleDecoder, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(_: Shard, __: Frame) -> None:
        raise StoreAway("the connection ended")

    monkeypatch.setattr(Shard, "_give_back", broken)
    cam = camera()
    decoder.gate.clear()
    async with dispatching(replace(QUICK, drain_s=0.2, lease_ttl_ms=60_000)) as dispatcher:
        await cam.frames(1)
        await until(lambda: holds(lambda: sum(shard.held for shard in dispatcher.shards.values()) == 1))
    assert [await store.call("EXISTS", ShardKeys(shard).lease) for shard in range(SHARDS)] == [0] * SHARDS
    assert await store.call("ZCARD", DISPATCHERS_KEY) == 0
