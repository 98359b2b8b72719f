"""Frames end together, each for itself and in its stream's order, however often it takes."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from narrows.contract.wire import FrameIdentity, ShardKeys
from narrows.runtime.redis.store import Reply, pairs
from orchestrator.dispatch import Store
from orchestrator.dispatch.endings import Ending
from orchestrator.dispatch.finish import Ended, FinishReply
from orchestrator.dispatch.stream import Frame
from orchestrator.servers import LocalRedis
from tests.integration.dispatch.finishing import SMALL, a_stream, at_once, finishing, outcome_kinds, taken_in
from tests.integration.dispatch.rig import (
    QUICK,
    finished,
    until,
)


async def test_ends_that_a_busy_loop_has_ready_share_a_round_trip(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of another batch, say, whose answer is taken up in the turn in which the first of them is seen to."""
    stream, trips = a_stream("cam"), list[int]()
    run_many = store.run_many

    async def counted(calls: Any) -> list[Reply]:
        trips.append(len(calls))
        return await run_many(calls)

    async def a_turn_later(frame: Frame, ending: Ending) -> Ended:
        await asyncio.sleep(0)
        return await finished(finisher, frame, ending)

    frames = [await taken_in(store, stream) for _ in range(3)]
    async with finishing(store) as finisher, asyncio.timeout(60):
        await finished(finisher, frames[0], Ending.mask(b"m", FrameIdentity(1, 0)))
        monkeypatch.setattr(store, "run_many", counted)
        first = finished(finisher, frames[1], Ending.mask(b"m", FrameIdentity(1, 1)))
        ended = await asyncio.gather(first, a_turn_later(frames[2], Ending.mask(b"m", FrameIdentity(1, 2))))
    assert [each.verdict for each in ended] == [FinishReply.FINISHED] * 2
    assert trips == [1]
    assert await outcome_kinds(store, stream) == ["mask"] * 3


async def test_results_keep_to_their_bytes_however_large_and_the_newest_is_there(store: Store) -> None:
    """A heat map of a megabyte, kept 256 times, had been a quarter of a gigabyte for one camera."""
    stream, settings = a_stream("heat"), replace(QUICK, retention_bytes=50_000)
    sizes = [SMALL] * 8 + [20_000] * 4 + [SMALL] * 3 + [200_000] * 2 + [SMALL] * 3
    kept = []
    async with finishing(store, settings) as finisher, asyncio.timeout(60):
        for n, size in enumerate(sizes):
            outputs = ((b"o:heat", b"v" * size),)
            await finished(finisher, await taken_in(store, stream), Ending.mask(b"m", FrameIdentity(1, n), outputs))
            kept.append(await store.call("XLEN", stream.keys.outcomes))
    assert kept == [*range(1, 9), 2, 2, 2, 2, 3, 4, 5, 1, 1, 2, 3, 4]
    ledger = pairs(await store.call("HGETALL", stream.keys.ledger))
    assert ledger == {b"mask": str(len(sizes)).encode()}


async def test_many_frames_of_two_leases_end_in_several_calls_in_their_order(store: Store) -> None:
    """The second lease's token is an older one: its frames are fenced, and none of the first's is."""
    first, fenced = a_stream("first"), a_stream("fenced")
    fenced.lease.token = "0"
    async with finishing(store) as finisher:
        ended = await at_once(store, finisher, {first: [SMALL] * 40, fenced: [SMALL] * 40})
    assert {each.verdict for each in ended["first"]} == {FinishReply.FINISHED}
    assert {each.verdict for each in ended["fenced"]} == {FinishReply.FENCED}
    outcomes = await store.call("XRANGE", first.keys.outcomes, "-", "+")
    assert len(outcomes) == 40
    assert pairs(await store.call("HGETALL", first.keys.ledger)) == {b"mask": b"40"}
    assert await store.call("EXISTS", fenced.keys.outcomes, fenced.keys.ledger) == 0


async def test_each_frame_of_a_call_has_its_own_further_fields_and_a_refusal_none(store: Store) -> None:
    well, other = a_stream("well"), a_stream("other")
    more = {0: ((b"o:a", b"A"), (b"o:b", b"B")), 1: (), 2: ((b"o:a", b"C"),)}
    async with finishing(store) as finisher:
        taken = [
            (await taken_in(store, stream), Ending.mask(b"%d" % n, FrameIdentity(1, n), more[n]))
            for n, stream in enumerate([well, other, well])
        ]
        await asyncio.gather(*(finished(finisher, *each) for each in taken))
    found = {
        stream.id: [pairs(fields) for _, fields in await store.call("XRANGE", stream.keys.outcomes, "-", "+")]
        for stream in (well, other)
    }
    assert found["well"] == [
        {b"k": b"mask", b"p": b"0", b"o:a": b"A", b"o:b": b"B"},
        {b"k": b"mask", b"p": b"2", b"o:a": b"C"},
    ]
    assert found["other"] == [{b"k": b"mask", b"p": b"1"}]


async def test_a_server_that_is_away_is_waited_for_and_nothing_is_refused(store: Store, server: LocalRedis) -> None:
    stream = a_stream("cam")
    async with finishing(store) as finisher:
        taken = [(await taken_in(store, stream), Ending.mask(b"m", FrameIdentity(1, n))) for n in range(4)]
        server.stop()
        asked = [asyncio.create_task(finished(finisher, *each)) for each in taken]
        await asyncio.sleep(0.5)  # several tries
        assert not any(each.done() for each in asked)
        server.restart()
        await until(lambda: _answers(store))
        await store.call("SET", ShardKeys(0).fence, "1")
        assert {ended.ending.reason for ended in await asyncio.gather(*asked)} == {""}


async def _answers(store: Store) -> bool:
    with suppress(Exception):
        return bool(await store.call("PING"))
    return False


async def test_endings_wait_for_a_command_that_their_user_lost_and_are_written_in_full(
    store: Store, server: LocalRedis
) -> None:
    stream = a_stream("cam")
    await store.call("ACL", "SETUSER", "limited", "reset", "on", ">pw", "~*", "+@all", "-xadd")
    limited = Store.connect(server.url.replace("//", "//limited:pw@"))
    try:
        async with finishing(limited) as finisher:
            taken = [(await taken_in(store, stream), Ending.mask(b"m", FrameIdentity(1, n))) for n in range(3)]
            asked = [asyncio.create_task(finished(finisher, *each)) for each in taken]
            await asyncio.sleep(0.2)  # several tries
            await store.call("ACL", "SETUSER", "limited", "+xadd")
            ended = await asyncio.gather(*asked)
        assert [(each.verdict, each.ending.kind) for each in ended] == [(FinishReply.FINISHED, b"mask")] * 3
    finally:
        await limited.close()
        await store.call("ACL", "DELUSER", "limited")
    assert await outcome_kinds(store, stream) == ["mask"] * 3
    assert pairs(await store.call("HGETALL", stream.keys.ledger)) == {b"mask": b"3"}
