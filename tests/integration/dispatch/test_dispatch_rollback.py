"""Redis loses its last second: what a dispatcher remembers of before ends no frame."""

import itertools
from collections.abc import Callable
from functools import partial

from narrows.contract.wire import Control, MaskPacket
from narrows.contract.wire.keys import GROUP
from orchestrator.dispatch import Store
from tests.integration.dispatch.rig import BOTH_READINGS, Camera, MakeCamera, Start, until


@BOTH_READINGS
async def test_frames_that_come_back_with_a_lost_second_end_in_masks(
    camera: MakeCamera, dispatching: Start, store: Store
) -> None:
    cam = camera()
    await cam.settings(b'{"policy": "complete"}')
    async with dispatching() as dispatcher:
        await cam.frames(5)
        await cam.ended(mask=5)
        stream = dispatcher.shards[cam.keys.shard].streams[cam.stream]
        disk = {key: await store.call("DUMP", key) for key in (cam.keys.seen, cam.keys.ledger, cam.keys.outcomes)}
        entries = await cam.send(*(packets := [cam.packet(), cam.predicted(), cam.predicted(distance=2)]))
        disk[cam.keys.features] = await _undelivered(store, cam, entries, [each.to_bytes() for each in packets])
        await cam.ended(mask=8)

        async def known_here() -> bool:
            return stream.seen.has_ended(packets[-1].identity)

        await until(known_here)
        await store.many([("RESTORE", key, 0, value, "REPLACE") for key, value in disk.items()])
        await cam.ended(mask=8)
    assert [mask.identity.sequence for mask in await cam.outcomes() if isinstance(mask, MaskPacket)] == list(range(8))
    assert await cam.ledger() == {"mask": 8}


async def test_a_window_that_redis_lost_ends_no_frame_that_comes_again(
    camera: MakeCamera, dispatching: Start, store: Store
) -> None:
    """Its entry is a new one, so nothing else says that Redis is not as it was."""
    cam = camera()
    await cam.settings(b'{"policy": "complete"}')
    async with dispatching() as dispatcher:
        await cam.send(packet := cam.packet())
        await cam.ended(mask=1)
        stream = dispatcher.shards[cam.keys.shard].streams[cam.stream]

        async def known_here() -> bool:
            return stream.seen.has_ended(packet.identity)

        await until(known_here)
        await cam.send(packet)
        await cam.ended(mask=1, duplicate=1)
        await until(known_here)
        await store.call("DEL", cam.keys.seen)
        await cam.send(packet)
        await cam.ended(mask=2, duplicate=1)


async def test_predicted_frames_that_come_back_find_their_references_though_others_are_cached(
    camera: MakeCamera, dispatching: Start, store: Store
) -> None:
    cam = camera()
    await cam.settings(b'{"policy": "complete"}')
    async with dispatching():
        await cam.send(cam.packet(), cam.predicted())
        await cam.ended(mask=2)
    async with dispatching():
        await cam.send(cam.predicted())  # the chain of the former owner is read for it
        await cam.ended(mask=3)
        kept = (cam.keys.seen, cam.keys.ledger, cam.keys.outcomes, cam.keys.chain)
        disk = {key: await store.call("DUMP", key) for key in kept}
        packets = [cam.predicted() for _ in range(12)]  # more than are cached
        entries = await cam.send(*packets)
        disk[cam.keys.features] = await _undelivered(store, cam, entries, [each.to_bytes() for each in packets])
        await cam.ended(mask=15)
        await store.many([("RESTORE", key, 0, value, "REPLACE") for key, value in disk.items()])
        await cam.ended(mask=15)
    assert [mask.identity.sequence for mask in await cam.outcomes() if isinstance(mask, MaskPacket)] == list(range(15))
    assert await cam.ledger() == {"mask": 15}


async def test_a_key_that_is_asked_for_after_the_count_was_lost_is_a_new_value_to_the_camera(
    camera: MakeCamera, dispatching: Start, store: Store
) -> None:
    cam = camera()
    cam.packet()
    async with dispatching() as dispatcher:
        dispatcher._path._key_requests._monotonic = _each_time_later()
        asked = []
        for _ in range(3):
            await cam.send(cam.predicted())

            async def is_asked() -> bool:
                data = await store.call("GET", cam.keys.control)
                return data is not None and Control.parse(data).key_request not in asked

            await until(is_asked)
            asked.append(Control.parse(await store.call("GET", cam.keys.control)).key_request)
            await store.call("HDEL", cam.keys.ledger, "key_requests")
    assert asked == [1, 2, 3]


async def _undelivered(store: Store, cam: Camera, entries: list[bytes], bodies: list[bytes]) -> bytes:
    """The feature stream as it was on disk: these entries in it, none of them delivered yet."""
    copy = f"copy:{cam.keys.features}"
    for entry, body in zip(entries, bodies, strict=True):
        await store.call("XADD", copy, entry, "p", body)
    await store.call("XGROUP", "CREATE", copy, GROUP, "0")
    dumped: bytes = await store.call("DUMP", copy)
    await store.call("DEL", copy)
    return dumped


def _each_time_later() -> Callable[[], float]:
    return partial(next, itertools.count(0.0, 10.0))
