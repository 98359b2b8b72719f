"""P packets through a real server: whatever is lost, late, doubled or taken over, a mask is right or there is none."""

from dataclasses import replace

import numpy as np
import pytest

from narrows.contract.wire import Control, FeaturePacket, MaskPacket, Refusal
from orchestrator.dispatch import Store
from tests.integration.dispatch.rig import QUICK, Camera, MakeCamera, RuleDecoder, Start, metric, rule, until


def chain(cam: Camera, count: int) -> list[FeaturePacket]:
    """A K and P packets behind it."""
    return [cam.packet(), *(cam.predicted() for _ in range(count - 1))]


async def masks(cam: Camera) -> list[int]:
    """The sequences that have a mask, each of which is checked to be the right one."""
    found = [each for each in await cam.outcomes() if isinstance(each, MaskPacket)]
    for mask in found:
        np.testing.assert_array_equal(mask.labels, rule(cam.planes[mask.identity.sequence], 0))
    return [mask.identity.sequence for mask in found]


async def asked(cam: Camera, store: Store) -> int:
    """The count of the newest key request."""
    data = await store.call("GET", cam.keys.control)
    return 0 if data is None else Control.parse(data).key_request


async def test_behind_a_lost_frame_nothing_is_masked_until_the_key_that_is_asked_for(
    camera: MakeCamera, dispatching: Start, store: Store
) -> None:
    cam = camera()
    packets = chain(cam, 8)
    async with dispatching():
        await cam.send(*packets[:3], *packets[4:])
        await cam.ended(mask=3, **{"refused:reference_lost": 4})
        assert await asked(cam, store) == 1
        await cam.send(*chain(cam, 4))
        await cam.ended(mask=7)
    assert await masks(cam) == [0, 1, 2, 8, 9, 10, 11]


async def test_a_prediction_that_overtook_its_key_is_refused_and_the_rest_goes_on(
    camera: MakeCamera, dispatching: Start
) -> None:
    cam = camera()
    key, first, second = chain(cam, 3)
    async with dispatching():
        await cam.send(first, key, second)
        await cam.ended(mask=1, **{"refused:reference_lost": 2})
        await cam.send(*chain(cam, 2))
        await cam.ended(mask=3)
    assert await masks(cam) == [0, 3, 4]


async def test_a_chain_that_arrives_twice_is_masked_once(camera: MakeCamera, dispatching: Start) -> None:
    cam = camera()
    packets = chain(cam, 6)
    async with dispatching():
        await cam.send(*packets, *packets[2:], packets[1])
        await cam.ended(mask=6)
        await until(lambda: _is_read(cam))
    assert await masks(cam) == list(range(6))
    assert not [each for each in await cam.outcomes() if isinstance(each, Refusal)]


async def test_what_a_dead_dispatcher_took_up_of_a_chain_is_decoded_by_its_successor(
    camera: MakeCamera, dispatching: Start
) -> None:
    cam = camera()
    entries = await cam.send(*chain(cam, 5))
    await cam.leave_pending(*entries)
    await cam.send(cam.predicted())
    async with dispatching():
        await cam.ended(mask=6)
    assert await masks(cam) == list(range(6))


async def test_who_takes_a_stream_over_asks_for_a_key(camera: MakeCamera, dispatching: Start, store: Store) -> None:
    cam = camera()
    async with dispatching():
        await cam.send(*chain(cam, 4))
        await cam.ended(mask=4)
    async with dispatching():
        await cam.send(cam.predicted(), cam.predicted())
        await cam.ended(mask=4, **{"refused:reference_lost": 2})
        assert await asked(cam, store) == 1
        await cam.send(*chain(cam, 3))
        await cam.ended(mask=7)
    assert await masks(cam) == [0, 1, 2, 3, 6, 7, 8]


async def _is_read(cam: Camera) -> bool:
    return await cam.unfinished() == 0


COMPLETE = b'{"policy": "complete"}'


@pytest.mark.parametrize("planned", [True, False])
async def test_the_next_owner_of_a_complete_stream_finds_its_references(
    camera: MakeCamera, dispatching: Start, dying: Start, *, planned: bool
) -> None:
    cam = camera()
    await cam.settings(COMPLETE)
    for owner in range(1, 4):
        async with (dispatching if planned else dying)():
            await cam.send(*(chain(cam, 12) if owner == 1 else [cam.predicted() for _ in range(12)]))
            await cam.ended(mask=12 * owner)
    assert await masks(cam) == list(range(36))
    assert await cam.ledger() == {"mask": 36}


async def test_so_it_does_for_what_was_in_hand_when_the_owner_died(
    camera: MakeCamera, dispatching: Start, dying: Start, decoder: RuleDecoder, store: Store
) -> None:
    cam = camera()
    await cam.settings(COMPLETE)
    async with dying() as dispatcher:
        await cam.send(*chain(cam, 5))
        await cam.ended(mask=5)
        decoder.gate.clear()
        await cam.send(*(cam.predicted() for _ in range(9)))
        held = dispatcher.shards[cam.keys.shard].streams[cam.stream].held

        async def in_hand() -> bool:
            return len(held) == 9

        await until(in_hand)
    decoder.gate.set()
    async with dispatching():
        await cam.ended(mask=14)
    assert await masks(cam) == list(range(14))


async def test_a_key_frame_begins_the_chain_anew_and_a_realtime_stream_has_none(
    camera: MakeCamera, dispatching: Start, store: Store
) -> None:
    cam, realtime = camera("cam"), camera("realtime")
    await cam.settings(COMPLETE)
    async with dispatching():
        await cam.send(*chain(cam, 5), *(last := chain(cam, 3)))
        await realtime.send(*chain(realtime, 3))
        await cam.ended(mask=8)
        await realtime.ended(mask=3)
    assert await store.call("LRANGE", cam.keys.chain, 0, -1) == [packet.to_bytes() for packet in last]
    assert 0 < await store.call("PTTL", cam.keys.chain) <= 3_600_000
    assert await store.call("EXISTS", realtime.keys.chain) == 0


async def test_a_chain_that_grew_too_long_is_dropped_and_a_key_is_asked_for(
    camera: MakeCamera, dispatching: Start, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.dispatch.finish.MOST_CHAIN_PACKETS", 4)
    cam = camera()
    await cam.settings(COMPLETE)
    async with dispatching():
        await cam.send(*chain(cam, 6))
        await cam.ended(mask=6)
    assert await store.call("EXISTS", cam.keys.chain) == 0
    async with dispatching():
        await cam.send(cam.predicted())
        await cam.ended(mask=6, **{"refused:reference_lost": 1})
        assert await asked(cam, store) == 1


async def test_a_chain_that_somebody_altered_makes_no_wrong_mask(
    camera: MakeCamera, dispatching: Start, store: Store
) -> None:
    cam = camera()
    await cam.settings(COMPLETE)
    async with dispatching():
        await cam.send(*chain(cam, 4))
        await cam.ended(mask=4)
    await store.call("LSET", cam.keys.chain, 2, b"no packet")
    async with dispatching():
        await cam.send(cam.predicted(), cam.packet())
        await cam.ended(mask=5, **{"refused:reference_lost": 1})
    assert await masks(cam) == [0, 1, 2, 3, 5]


async def test_complete_streams_whose_references_have_no_room_have_their_chains_read_again(
    camera: MakeCamera, dispatching: Start
) -> None:
    cameras = [camera(f"cam-{number}") for number in range(3)]
    async with dispatching(replace(QUICK, references_bytes=1)) as dispatcher:
        for cam in cameras:
            await cam.settings(b'{"policy": "complete"}')
            await cam.send(cam.packet())
            await cam.ended(mask=1)
        for count in range(2, 5):
            for cam in cameras:  # the others' have put this one's out
                await cam.send(cam.predicted())
                await cam.ended(mask=count)
        assert metric(dispatcher, "narrows_references_forgotten_total") > 0
        assert metric(dispatcher, "narrows_references_bytes") > 0
    for cam in cameras:
        assert await masks(cam) == [0, 1, 2, 3]


async def test_a_realtime_stream_whose_reference_has_no_room_is_asked_for_a_key(
    camera: MakeCamera, dispatching: Start, store: Store
) -> None:
    cam, other = camera("cam-1"), camera("cam-2")
    async with dispatching(replace(QUICK, references_bytes=1)):
        for each in (cam, other):
            await each.send(*chain(each, 2))
            await each.ended(mask=2)
        await cam.send(cam.predicted())
        await cam.ended(mask=2, **{"refused:reference_lost": 1})
        assert await asked(cam, store) == 1
        await cam.send(*chain(cam, 3))
        await cam.ended(mask=5)
    assert await masks(cam) == [0, 1, 3, 4, 5]
