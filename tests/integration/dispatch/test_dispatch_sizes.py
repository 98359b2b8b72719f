"""What one camera puts into Redis, in size or number, costs its neighbours nothing and is counted to the entry."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from narrows.contract.wire import MaskPacket, Refusal, shard_of
from narrows.contract.wire.keys import GROUP
from orchestrator.dispatch import Dispatcher, Store
from orchestrator.shards.scripts import BACKLOG, FIRST_ENTRY_BYTES, MOST_BACKLOG_FRAMES
from tests.integration.dispatch.rig import BOTH_READINGS, QUICK, SHARDS, Camera, MakeCamera, RuleDecoder, Start, until

MIB = 1 << 20
LIMITED = replace(QUICK, read_bytes=4 * MIB, isolated_s=60.0)
CAPPED = replace(QUICK, stream_entries=20, isolated_s=60.0)


def fields(count: int, size: int) -> list[bytes]:
    return [word for n in range(count) for word in (b"f%d" % n, bytes(size))]


# more than a stream may hold; more than one read may bring; small bytes that become many objects
HUGE: dict[str, Sequence[bytes]] = {
    "20 fields of a megabyte": fields(20, MIB - 64),
    "a field of 20 megabytes": [b"p", bytes(20 * MIB)],
    "400,000 fields": [b"f", b"1"] * 400_000,
}


def beside(cam: Camera) -> tuple[str, str]:
    """A stream of the same shard, and one of another."""
    names = [f"n{i}" for i in range(1000)]
    same = next(name for name in names if shard_of(name, SHARDS) == cam.keys.shard)
    return same, next(name for name in names if shard_of(name, SHARDS) != cam.keys.shard)


async def add(store: Store, cam: Camera, words: Sequence[bytes], entry: str = "*") -> None:
    await store.call("XADD", cam.keys.features, entry, *words)


async def pending(store: Store, cam: Camera) -> int:
    return int((await store.call("XPENDING", cam.keys.features, GROUP))[0])


@pytest.mark.parametrize("words", HUGE.values(), ids=HUGE.keys())
@pytest.mark.parametrize("when", ["before the dispatcher", "while it waits for entries"])
@BOTH_READINGS
async def test_an_entry_too_large_to_read_ends_by_name_and_its_neighbours_in_masks(
    words: Sequence[bytes], when: str, store: Store, camera: MakeCamera, dispatching: Start
) -> None:
    evil = camera("evil")
    same, other = (camera(name) for name in beside(evil))
    if when.startswith("before"):
        await add(store, evil, words)
    async with dispatching(LIMITED) as dispatcher:
        await same.frames(2)
        await other.frames(2)
        if not when.startswith("before"):
            await same.ended(mask=2)
            await add(store, evil, words)
        await evil.ended(outside=1, **{"refused:too_large": 1})
        await same.frames(3)
        await other.frames(3)
        await evil.frames(1)
        await same.ended(mask=5)
        await other.ended(mask=5)
        await evil.ended(mask=1)
        assert _refused(dispatcher) == 1
    refusal, mask = await evil.outcomes()
    assert isinstance(refusal, Refusal)
    assert (refusal.reason, refusal.identity) == ("too_large", None)
    assert isinstance(mask, MaskPacket)
    (letter,) = await evil.dead()
    assert (letter[b"reason"], letter[b"head"]) == (b"too_large", b"")
    assert await pending(store, evil) == await evil.unfinished() == 0


async def test_a_stream_that_sent_too_much_once_is_read_apart_and_stops_nobody_again(
    store: Store, camera: MakeCamera, dispatching: Start
) -> None:
    evil = camera("evil")
    same = camera(beside(evil)[0])
    async with dispatching(LIMITED) as dispatcher:
        await add(store, evil, HUGE["20 fields of a megabyte"])
        await evil.ended(outside=1)
        before = dispatcher.metrics.claimed._value.get()
        for count in range(2, 5):
            await add(store, evil, HUGE["20 fields of a megabyte"])
            await same.frames(3)
            await same.ended(mask=3 * count - 3)
            await evil.ended(outside=count)
        assert dispatcher.metrics.claimed._value.get() == before, "no read of the neighbours was broken off"


@pytest.mark.parametrize(
    "words",
    [fields(3, MIB - 64), [b"f", b"1"] * 10_000, [b"p", b"x", *[b"f", b"1"] * 10_000]],
    ids=["bytes", "fields", "fields behind p"],
)
async def test_a_stream_whose_entries_are_no_packets_is_read_apart_before_one_is_too_large(
    words: Sequence[bytes], store: Store, camera: MakeCamera, dispatching: Start
) -> None:
    evil = camera("evil")
    async with dispatching() as dispatcher:
        await add(store, evil, words)
        await evil.ended(outside=1, **{"refused:too_large": 1})

        async def isolated() -> bool:
            return bool(dispatcher.metrics.isolated_streams._value.get() == 1)

        await until(isolated)


@BOTH_READINGS
async def test_entries_beside_one_too_large_are_claimed_one_by_one_and_none_is_lost(
    store: Store, camera: MakeCamera, dispatching: Start
) -> None:
    evil = camera("evil")
    await evil.frames(2)
    await add(store, evil, fields(4, MIB))
    await evil.frames(2)
    async with dispatching(replace(QUICK, read_bytes=MIB)) as dispatcher:
        await evil.ended(mask=4, outside=1, **{"refused:too_large": 1})
        assert dispatcher.shards[evil.keys.shard].streams["evil"].isolations == 1
    ended = [type(each) for each in await evil.outcomes()]
    assert ended == [MaskPacket, MaskPacket, Refusal, MaskPacket, MaskPacket], "in the order of the entries"


@pytest.mark.parametrize("ids", ["the server's", "far in the future"])
async def test_a_flood_is_trimmed_to_the_cap_and_counted_to_the_entry(
    ids: str, store: Store, camera: MakeCamera, dispatching: Start, decoder: RuleDecoder
) -> None:
    evil = camera("evil")
    decoder.gate.clear()
    async with dispatching(CAPPED) as dispatcher:
        for n in range(200):
            entry = "*" if ids == "the server's" else f"18446744073709551000-{n}"
            await add(store, evil, [b"p", evil.packet().to_bytes()], entry)

        async def trimmed() -> bool:
            return await evil.unfinished() <= CAPPED.stream_entries

        await until(trimmed, evil.ledger)
        decoder.gate.set()

        async def read() -> bool:
            return await evil.unfinished() == 0

        await until(read, evil.ledger)
        ledger = await evil.ledger()
        trimmed_here = ledger.get("trimmed", 0)
        assert trimmed_here == dispatcher.metrics.trimmed.labels("default")._value.get()
        assert trimmed_here > 0 or ids != "the server's", "a forged id is refused at once"
        ended = ledger.get("mask", 0) + ledger.get("skipped", 0) + ledger.get("refused", 0) + ledger.get("outside", 0)
        assert ended + trimmed_here == 200


async def test_frames_in_flight_end_as_ever_and_those_trimmed_behind_them_are_lost_ones(
    store: Store, camera: MakeCamera, dispatching: Start, decoder: RuleDecoder
) -> None:
    """``trimmed`` counts entries, ``lost`` the places in the sequence that they leave empty: the two are not added."""
    cam = camera()
    decoder.gate.clear()
    async with dispatching(CAPPED) as dispatcher:
        await cam.frames(QUICK.room)

        async def held() -> bool:
            return sum(shard.held for shard in dispatcher.shards.values()) == QUICK.room

        await until(held)
        await cam.frames(60)

        async def trimmed() -> bool:
            return await cam.unfinished() <= CAPPED.stream_entries

        await until(trimmed, cam.ledger)
        decoder.gate.set()
        trimmed_frames = 60 - CAPPED.stream_entries
        await cam.ended(mask=QUICK.room + CAPPED.stream_entries, trimmed=trimmed_frames, lost=trimmed_frames)
        assert await pending(store, cam) == 0


async def test_one_stream_is_a_capped_share_of_the_backlog(
    store: Store, camera: MakeCamera, dispatching: Start, decoder: RuleDecoder
) -> None:
    evil, calm = camera("evil"), camera("calm")
    decoder.gate.clear()
    async with dispatching() as dispatcher:
        await calm.frames(10)
        for _ in range(MOST_BACKLOG_FRAMES + 100):
            await add(store, evil, [b"p", evil.packet().to_bytes()])

        async def counted() -> bool:
            return bool(dispatcher.metrics.backlog_frames._value.get() == MOST_BACKLOG_FRAMES + 10)

        await until(counted)
        decoder.gate.set()


async def test_beside_a_flood_on_a_small_server_a_complete_camera_loses_nothing(
    store: Store, camera: MakeCamera, dispatching: Start
) -> None:
    """64 MB, and six times that by one camera. In each round of 10 MB the honest one's frame has its mask."""
    honest, evil = camera("honest"), camera("evil")
    await honest.settings(b'{"policy": "complete"}')
    junk, taken = fields(1, 100_000), 0
    await store.call("CONFIG", "SET", "maxmemory", 64 * MIB)
    try:
        async with dispatching():
            for n in range(1, 41):
                replies = await store.many([("XADD", evil.keys.features, "*", *junk)] * 100)
                taken += sum(isinstance(reply, bytes) for reply in replies)
                await honest.frames(1)  # raises where Redis is out of memory
                await honest.ended(mask=n)
        outcomes = await honest.outcomes()
        assert [each.identity.sequence for each in outcomes if isinstance(each, MaskPacket)] == list(range(40))[
            -len(outcomes) :
        ]
        assert set(await honest.ledger()) == {"mask"}
        ledger = await evil.ledger()
        assert ledger["outside"] + ledger["trimmed"] + await evil.unfinished() == taken
    finally:
        await store.call("CONFIG", "SET", "maxmemory", 0)


async def test_the_backlog_is_measured_without_looking_at_a_large_entry(store: Store, camera: MakeCamera) -> None:
    cam = camera()
    await add(store, cam, fields(3, MIB))
    ((length, first, size),) = await store.run(BACKLOG, [cam.keys.features], GROUP, FIRST_ENTRY_BYTES)
    assert (length, first) == (1, b"")
    assert size > 3 * MIB


def _refused(dispatcher: Dispatcher) -> float:
    labels = ("refused", "too_large", "default")
    return float(dispatcher.metrics.frames.labels(*labels)._value.get())
