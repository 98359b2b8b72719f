"""An unforeseen error in a shard's readers costs the others nothing, and each shard is read by one reader of a kind."""

import asyncio
from collections import Counter

import pytest

from orchestrator.dispatch.shard import Shard
from tests.integration.dispatch.rig import SHARDS, MakeCamera, Start, holds, metric, until


async def test_where_one_of_a_shards_readers_crashes_the_shard_is_never_read_twice_at_once(
    camera: MakeCamera, dispatching: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, running, most = Counter[int](), Counter[int](), Counter[int]()
    read, read_isolated, crashed = Shard.read, Shard.read_isolated, set[int]()

    async def counted(shard: Shard) -> None:
        number = shard.lease.shard
        begun[number] += 1
        running[number] += 1
        most[number] = max(most[number], running[number])
        try:
            await read(shard)
        finally:
            running[number] -= 1

    async def crashing_once(shard: Shard) -> None:
        if shard.lease.shard not in crashed:
            crashed.add(shard.lease.shard)
            await asyncio.sleep(0.01)
            raise ZeroDivisionError
        await read_isolated(shard)

    monkeypatch.setattr(Shard, "read", counted)
    monkeypatch.setattr(Shard, "read_isolated", crashing_once)
    cam = camera()
    async with dispatching() as dispatcher:
        await until(lambda: holds(lambda: len(begun) == SHARDS and min(begun.values()) == 2))
        await cam.frames(5)
        await cam.ended(mask=5)
        assert most == dict.fromkeys(range(SHARDS), 1)
        assert metric(dispatcher, "narrows_loop_crashes_total", loop="reading") == SHARDS


async def test_readers_that_were_begun_anew_after_the_clock_was_set_back_are_guarded_as_before(
    camera: MakeCamera, dispatching: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, due = Shard.read, set[int]()

    async def crashing_once(shard: Shard) -> None:
        if shard.lease.shard in due:
            due.remove(shard.lease.shard)
            raise ZeroDivisionError
        await read(shard)

    cam = camera()
    async with dispatching() as dispatcher:
        await until(lambda: holds(lambda: len(dispatcher.shards) == SHARDS))
        due.update(range(SHARDS))
        monkeypatch.setattr(Shard, "read", crashing_once)
        dispatcher._clock_was_set(-60.0)
        await until(lambda: holds(lambda: not due))
        await cam.frames(5)
        await cam.ended(mask=5)
