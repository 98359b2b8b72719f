"""One ending that Redis never takes ends by name; those beside it, before and behind, are written in their order."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from narrows.contract.wire import FrameIdentity, MaskPacket, Refusal, ShardKeys, StreamKeys, StreamSettings
from narrows.contract.wire.keys import GROUP
from narrows.runtime.redis.store import RawEntry, Reply, ReplyRefused, pairs
from orchestrator.dispatch import Dispatcher, DispatchSettings, Store
from orchestrator.dispatch.endings import Ending
from orchestrator.dispatch.finish import Ended, Finisher, FinishReply
from orchestrator.dispatch.lease import Lease
from orchestrator.dispatch.reference_cache import ReferenceCache
from orchestrator.dispatch.stream import Frame, Stream, Taken
from orchestrator.inference.contract import Batch
from orchestrator.servers import LocalRedis
from orchestrator.telemetry.faults import Cause, Faults
from orchestrator.telemetry.metrics import Metrics
from tests.integration.dispatch.rig import (
    CLASSES,
    QUICK,
    Camera,
    MakeCamera,
    RuleDecoder,
    Start,
    finished,
    metric,
    until,
)

SMALL, BIG = 1_000, 1_200_000
# The last says nothing: it closes the connection. maxmemory-clients spares the cloud's connections.
LIMITS = [("proto-max-bulk-len", "1mb"), ("client-query-buffer-limit", "1mb")]


@pytest.fixture(params=LIMITS, ids=lambda limit: limit[0])
async def limited(store: Store, request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    """A server that takes no ending of :data:`BIG` bytes."""
    name, value = request.param
    before = (await store.call("CONFIG", "GET", name))[1]
    await store.call("CONFIG", "SET", name, value)
    yield store
    await store.call("CONFIG", "SET", name, before)


@asynccontextmanager
async def finishing(store: Store, settings: DispatchSettings = QUICK) -> AsyncIterator[Finisher]:
    await store.call("SET", ShardKeys(0).fence, "1")
    finisher = Finisher(store, settings, Faults(Metrics()))
    running = asyncio.create_task(finisher.run())
    try:
        yield finisher
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


def a_stream(name: str, lease: Lease | None = None) -> Stream:
    """Of its own lease, or of one that it shares with others of its shard: their frames end in one call."""
    lease = lease or Lease(0, "1", float("inf"))
    return Stream(StreamKeys(name, 0), lease, ReferenceCache(8), StreamSettings())


async def taken_in(store: Store, stream: Stream) -> Frame:
    await store.many([("XGROUP", "CREATE", stream.keys.features, GROUP, "0", "MKSTREAM")])
    entry = await store.call("XADD", stream.keys.features, "*", "p", "x")
    await store.call("XREADGROUP", "GROUP", GROUP, "me", "STREAMS", stream.keys.features, ">")
    return stream.take_in(RawEntry(entry, [b"p", b"x"]), 1, Taken(0.0, 0.0, 0.0))


async def at_once(store: Store, finisher: Finisher, sizes: dict[Stream, list[int]]) -> dict[str, list[Ended]]:
    """End frames with masks of these sizes in one batch, the streams in turn; answers what became of each."""
    frames = [(stream, n, size) for stream, each in sizes.items() for n, size in enumerate(each)]
    frames.sort(key=lambda frame: frame[1])
    taken = [
        (await taken_in(store, stream), Ending.mask(b"m" * size, FrameIdentity(1, n))) for stream, n, size in frames
    ]
    async with asyncio.timeout(60):
        ended = await asyncio.gather(*(finished(finisher, frame, ending) for frame, ending in taken))
    found: dict[str, list[Ended]] = {stream.id: [] for stream in sizes}
    for (stream, _, _), each in zip(frames, ended, strict=True):
        found[stream.id].append(each)
    return found


async def outcome_kinds(store: Store, stream: Stream) -> list[str]:
    entries = await store.call("XRANGE", stream.keys.outcomes, "-", "+")
    return [pairs(fields)[b"k"].decode() for _, fields in entries]


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


async def test_one_mask_over_the_limit_is_refused_by_name_in_its_place(limited: Store) -> None:
    big, small = a_stream("big"), a_stream("small")
    async with finishing(limited) as finisher:
        ended = await at_once(limited, finisher, {big: [SMALL, BIG, SMALL, SMALL], small: [SMALL] * 6})
    assert {each.verdict for some in ended.values() for each in some} == {FinishReply.FINISHED}
    assert [each.ending.reason for each in ended["big"]] == ["", "outcome_refused", "", ""]
    assert await outcome_kinds(limited, big) == ["mask", "refused", "mask", "mask"]
    assert await outcome_kinds(limited, small) == ["mask"] * 6
    ledger = pairs(await limited.call("HGETALL", big.keys.ledger))
    assert ledger == {b"mask": b"3", b"refused": b"1", b"refused:outcome_refused": b"1"}
    assert await limited.call("XLEN", big.keys.features) == 0


async def test_a_mask_whose_further_output_is_over_the_limit_is_published_without_it(limited: Store) -> None:
    stream = a_stream("two")
    large, fits = ((b"o:large", b"v" * BIG),), ((b"o:scene", b"v"),)
    async with finishing(limited) as finisher, asyncio.timeout(60):
        taken = [
            (await taken_in(limited, stream), Ending.mask(b"m", FrameIdentity(1, n), outputs))
            for n, outputs in enumerate([fits, large, fits])
        ]
        ended = await asyncio.gather(*(finished(finisher, *each) for each in taken))
    assert [each.verdict for each in ended] == [FinishReply.FINISHED] * 3
    assert [each.ending.outputs for each in ended] == [fits, (), fits]
    assert await outcome_kinds(limited, stream) == ["mask"] * 3
    entries = await limited.call("XRANGE", stream.keys.outcomes, "-", "+")
    assert [sorted(pairs(fields)) for _, fields in entries] == [
        [b"k", b"o:scene", b"p"],
        [b"k", b"p"],
        [b"k", b"o:scene", b"p"],
    ]
    assert pairs(await limited.call("HGETALL", stream.keys.ledger)) == {b"mask": b"3"}


async def test_outputs_over_the_limit_without_a_label_map_are_refused_and_no_empty_result_is_published(
    limited: Store,
) -> None:
    stream, outputs = a_stream("heat"), ((b"o:heat", b"v" * BIG),)
    async with finishing(limited) as finisher, asyncio.timeout(60):
        result = Ending.mask(b"r", FrameIdentity(1, 0), outputs, alone=False)
        ended = await finished(finisher, await taken_in(limited, stream), result)
    assert (ended.verdict, ended.ending.reason) == (FinishReply.FINISHED, "outcome_refused")
    assert await outcome_kinds(limited, stream) == ["refused"]


async def test_a_batch_of_nothing_else_is_refused_frame_by_frame(limited: Store) -> None:
    big = a_stream("big")
    async with finishing(limited) as finisher:
        ended = await at_once(limited, finisher, {big: [BIG] * 3})
        later = await at_once(limited, finisher, {a_stream("small"): [SMALL]})
    assert [each.ending.reason for each in ended["big"]] == ["outcome_refused"] * 3
    assert [each.ending.reason for each in later["small"]] == [""]


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


async def test_a_whole_frame_whose_mask_is_too_large_is_refused_and_the_next_is_masked(
    store: Store, camera: MakeCamera, dispatching: Start
) -> None:
    await store.call("CONFIG", "SET", "proto-max-bulk-len", "1mb")
    cam, decoder = camera(), NoisyDecoder()
    async with dispatching(with_decoder=decoder) as dispatcher:
        for noisy in (False, True, False):
            decoder.noisy = noisy
            await cam.frames(1)
            await until(lambda: _ended(cam))
        labels = {"outcome": "refused", "reason": "outcome_refused", "group": "default"}
        assert dispatcher.metrics.registry.get_sample_value("narrows_frames_total", labels) == 1
    before, refusal, after = await cam.outcomes()
    assert isinstance(refusal, Refusal)
    assert refusal.identity == FrameIdentity(7, 1)
    assert isinstance(before, MaskPacket)
    assert isinstance(after, MaskPacket)


class NoisyDecoder(RuleDecoder):
    """Label maps of four million pixels, all alike or all noise."""

    noisy = False

    async def run(self, n: int) -> Batch:
        labels = np.zeros((n, 2048, 2048), np.uint8)
        return (np.random.default_rng(0).integers(0, CLASSES, labels.shape, np.uint8) if self.noisy else labels,)


async def _ended(cam: Camera) -> bool:
    return len(await cam.outcomes()) == cam.sequence


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
