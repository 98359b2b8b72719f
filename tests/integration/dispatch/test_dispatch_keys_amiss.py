"""A key that is not what it should be stops its own streams alone, and only until it is mended."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from narrows.contract.wire import FrameIdentity, ShardKeys
from narrows.runtime.redis.store import ReplyRefused, pairs
from orchestrator.dispatch import Dispatcher, Store
from orchestrator.dispatch.endings import Ending
from orchestrator.dispatch.finish import Ended, FinishReply
from orchestrator.dispatch.lease import Lease
from orchestrator.telemetry.faults import Cause
from tests.integration.dispatch.finishing import a_stream, finishing, outcome_kinds, taken_in
from tests.integration.dispatch.rig import (
    QUICK,
    Camera,
    MakeCamera,
    Start,
    finished,
    metric,
    until,
)

Key = Callable[[Camera], str]
AMISS: dict[str, Key] = {
    "outcomes": lambda cam: cam.keys.outcomes,
    "window": lambda cam: cam.keys.seen,
    "ledger": lambda cam: cam.keys.ledger,
    "dead letters": lambda cam: ShardKeys(cam.keys.shard).dead,
    "settings": lambda cam: ShardKeys(cam.keys.shard).streams,
    "control record": lambda cam: cam.keys.control,
    "lease": lambda cam: ShardKeys(cam.keys.shard).lease,
    "fence": lambda cam: ShardKeys(cam.keys.shard).fence,
}


@pytest.mark.parametrize("key", AMISS.values(), ids=AMISS.keys())
async def test_a_key_of_a_wrong_type_stops_its_own_streams_alone_and_only_until_it_is_mended(
    key: Key, store: Store, camera: MakeCamera, dispatching: Start
) -> None:
    cam = camera("cam-1")
    amiss = key(cam)
    neighbour = camera("cam-3" if cam.stream in amiss else "cam-2")  # cam-3 shares the shard, cam-2 does not
    async with dispatching() as dispatcher:
        await cam.frames(1)
        await cam.ended(mask=1)
        await store.call("DEL", amiss)
        await store.call("RPUSH", amiss, "junk")
        for _ in range(4):
            await cam.frames(1)
            await neighbour.frames(1)
            await neighbour.ended(mask=neighbour.sequence)
            await asyncio.sleep(0.2)
        if amiss in (cam.keys.outcomes, cam.keys.seen, cam.keys.ledger):
            assert await cam.unfinished() == 4
            await until(lambda: _is(lambda: _told(dispatcher) > 0))
        await store.call("DEL", amiss)
        await until(lambda: _nothing_left(cam))
    ledger = await cam.ledger()
    assert "refused" not in ledger
    assert ledger["mask"] == (4 if amiss == cam.keys.ledger else 5)


async def test_a_stream_whose_keys_are_amiss_rests_between_tries(
    store: Store, camera: MakeCamera, dispatching: Start
) -> None:
    cam = camera()
    await store.call("SET", cam.keys.outcomes, "junk")
    async with dispatching(replace(QUICK, rest_s=60.0)) as dispatcher:
        await cam.frames(1)
        await until(lambda: _is(lambda: _told(dispatcher) > 0))
        await asyncio.sleep(0.5)  # dozens of tries, without a rest
        assert _tries(dispatcher) == 1
    assert await cam.unfinished() == 1


async def test_a_fault_of_the_keys_is_raised_to_the_frame_and_changes_nothing(store: Store) -> None:
    stream = a_stream("cam")
    await store.call("SET", stream.keys.outcomes, "junk")
    async with finishing(store) as finisher:
        frame = await taken_in(store, stream)
        with pytest.raises(ReplyRefused, match="WRONGTYPE"):
            await finished(finisher, frame, Ending.mask(b"m", FrameIdentity(1, 0)))
    assert await store.call("XLEN", stream.keys.features) == 1


async def test_a_frame_whose_ledger_counts_nothing_is_left_pending_and_those_beside_it_in_its_call_end(
    store: Store,
) -> None:
    lease = Lease(0, "1", float("inf"))
    amiss, well = a_stream("amiss", lease), a_stream("well", lease)
    await store.call("HSET", amiss.keys.ledger, "mask", "junk")
    async with finishing(store) as finisher:
        taken = [
            (await taken_in(store, stream), Ending.mask(b"m", FrameIdentity(1, n)))
            for n, stream in enumerate([well, amiss, well, amiss, well])
        ]
        ended = await asyncio.gather(*(finished(finisher, *each) for each in taken), return_exceptions=True)
    verdicts = [each.verdict if isinstance(each, Ended) else type(each) for each in ended]
    assert verdicts == [FinishReply.FINISHED, ReplyRefused] * 2 + [FinishReply.FINISHED]
    assert await outcome_kinds(store, well) == ["mask"] * 3
    assert await outcome_kinds(store, amiss) == []
    assert await store.call("XLEN", amiss.keys.features) == 2


async def test_a_stream_whose_key_is_of_another_type_holds_up_nobody_and_order_is_kept(store: Store) -> None:
    lease = Lease(0, "1", float("inf"))
    amiss, well = a_stream("amiss", lease), a_stream("well", lease)
    await store.call("SET", amiss.keys.outcomes, "1")
    async with finishing(store) as finisher:
        streams = [well, amiss, well, well, amiss, well]
        taken = [
            (await taken_in(store, stream), Ending.mask(b"%d" % n, FrameIdentity(1, n)))
            for n, stream in enumerate(streams)
        ]
        ended = await asyncio.gather(*(finished(finisher, *each) for each in taken), return_exceptions=True)
    refused = [n for n, each in enumerate(ended) if isinstance(each, ReplyRefused) and each.code == "WRONGTYPE"]
    assert refused == [1, 4]
    outcomes = await store.call("XRANGE", well.keys.outcomes, "-", "+")
    assert [pairs(fields)[b"p"] for _, fields in outcomes] == [b"0", b"2", b"3", b"5"]


async def _nothing_left(cam: Camera) -> bool:
    return await cam.unfinished() == 0


async def _is(check: Callable[[], bool]) -> bool:
    return check()


def _told(dispatcher: Dispatcher) -> float:
    labels = {"cause": Cause.REDIS_REFUSES.value}
    return metric(dispatcher, "narrows_faults_total", **labels)


def _tries(dispatcher: Dispatcher) -> float:
    labels = {"service": "redis"}
    return metric(dispatcher, "narrows_service_errors_total", **labels)
