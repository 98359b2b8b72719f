"""Masks that are kept small: packed by the label coder, behind tables that are in Redis before the first such mask."""

import asyncio
from typing import Any

import numpy as np
import pytest

import narrows
from narrows.client.subscription import Subscription
from narrows.contract.bundle import Bundle, format_id
from narrows.contract.codec import LabelTables, general_label_tables
from narrows.contract.errors import LabelTablesMissing
from narrows.contract.wire import MaskPacket
from narrows.contract.wire.keys import INSTALL_KEY, LABEL_TABLES_KEY
from narrows.contract.wire.mask import DEFLATE, SMALL, label_tables_of
from narrows.runtime.redis.store import pairs
from orchestrator.dispatch import Store
from orchestrator.servers import LocalRedis
from tests.integration.dispatch.mask_camera import MakeMaskCamera, MaskCamera, as_bytes
from tests.integration.dispatch.rig import Camera, MakeCamera, Start, until

SMALL_MASKS = b'{"masks": "small", "policy": "complete"}'
"""None is skipped, however late a busy machine reads it."""


async def bodies(cam: Camera) -> list[bytes]:
    """The mask packets as they are kept."""
    entries = await cam.store.call("XRANGE", cam.keys.outcomes, "-", "+")
    return [found[b"p"] for found in (pairs(entry[1]) for entry in entries) if found[b"k"] == b"mask"]


async def subscribed(server: LocalRedis, stream: str) -> list[Any]:
    def read() -> list[Any]:
        with narrows.subscribe(stream, redis_url=server.url, from_id="0", timeout_s=0.3) as found:
            return list(found)

    return await asyncio.to_thread(read)


def check(cam: MaskCamera, found: list[Any]) -> None:
    assert [mask.identity.sequence for mask in found] == list(range(len(found)))
    for mask in found:
        assert isinstance(mask, MaskPacket)
        np.testing.assert_array_equal(mask.labels, cam.expected(mask.identity.sequence))


async def test_masks_of_every_maker_are_kept_small_and_a_subscriber_reads_them(
    masker: MakeMaskCamera, masking: Bundle, dispatching: Start, server: LocalRedis, store: Store
) -> None:
    assert masking.label_tables is not None
    cam = masker()
    await cam.settings(SMALL_MASKS)
    own, general = masking.label_tables, general_label_tables()
    async with dispatching(serving=masking):
        await cam.send(cam.packet())  # made here: the bundle's own tables
        await cam.send(*as_bytes(cam.mask()))  # made by the camera with the general ones: its payload as it came
        cam.tables = own
        await cam.send(*as_bytes(cam.mask(), cam.audited()))
        await cam.ended(mask=4)
    kept = await bodies(cam)
    assert [data[1] for data in kept] == [SMALL] * 4
    assert [label_tables_of(data) for data in kept] == [own.id, general.id, own.id, own.id]
    check(cam, await subscribed(server, cam.stream))
    there = await store.hash_of(LABEL_TABLES_KEY)
    assert there == {format_id(tables.id).encode(): tables.to_bytes() for tables in (own, general)}


async def test_by_default_masks_are_kept_fast_and_a_setting_changes_it_while_frames_flow(
    masker: MakeMaskCamera, masking: Bundle, dispatching: Start, server: LocalRedis
) -> None:
    cam = masker()
    await cam.settings(b'{"policy": "complete"}')
    async with dispatching(serving=masking):
        await cam.send(*as_bytes(cam.mask()), cam.packet())
        await cam.ended(mask=2)
        await cam.settings(SMALL_MASKS)

        async def small() -> bool:
            await cam.send(cam.packet())
            return (await bodies(cam))[-1][1] == SMALL

        await until(small)
        await cam.ended(mask=cam.sequence)
    assert [data[1] for data in (await bodies(cam))[:2]] == [DEFLATE] * 2
    check(cam, await subscribed(server, cam.stream))


async def test_a_redis_that_was_emptied_gets_the_tables_back(
    masker: MakeMaskCamera, masking: Bundle, dispatching: Start, store: Store
) -> None:
    async with dispatching(serving=masking):
        for _ in range(2):

            async def there() -> bool:
                return len(await store.hash_of(LABEL_TABLES_KEY)) == 2

            await until(there)
            await store.call("DEL", LABEL_TABLES_KEY)


async def test_where_tables_cannot_be_written_masks_are_kept_fast(
    masker: MakeMaskCamera, masking: Bundle, dispatching: Start, store: Store
) -> None:
    cam = masker()
    await cam.settings(SMALL_MASKS)
    await store.call("SET", LABEL_TABLES_KEY, "another program's")
    async with dispatching(serving=masking) as dispatcher:
        await cam.send(*as_bytes(cam.mask()))
        await cam.ended(mask=1)
        name = "narrows_faults_total"

        async def said() -> bool:
            return bool(dispatcher.metrics.registry.get_sample_value(name, {"cause": "redis_refuses"}))

        await until(said)
    assert [data[1] for data in await bodies(cam)] == [DEFLATE]


WRONG: dict[str, tuple[Any, str]] = {
    "gone": (None, "a dispatcher that serves their bundle writes it"),
    "junk": (b"junk", "holds no label tables"),
    "other tables": (general_label_tables().to_bytes(), f"holds other tables .{format_id(general_label_tables().id)}"),
    "too large": (bytes((1 << 20) + 1), "more than any label tables"),
    "another type": (0, "cannot be read"),
}


@pytest.mark.parametrize("name", WRONG)
async def test_unknown_tables_are_a_named_error_that_says_what_to_do_and_the_next_entry_is_read(
    masker: MakeMaskCamera, masking: Bundle, dispatching: Start, server: LocalRedis, store: Store, name: str
) -> None:
    stored, says = WRONG[name]
    cam = masker()
    await cam.settings(SMALL_MASKS)
    async with dispatching(serving=masking):
        await cam.send(cam.packet(), *as_bytes(cam.mask()))  # of its own tables; of the general ones, which are known
        await cam.ended(mask=2)
    assert masking.label_tables is not None
    field = format_id(masking.label_tables.id)
    if stored == 0:
        await store.many([("DEL", LABEL_TABLES_KEY), ("SET", LABEL_TABLES_KEY, "another program's")])
    elif stored is None:
        await store.call("HDEL", LABEL_TABLES_KEY, field)
    else:
        await store.call("HSET", LABEL_TABLES_KEY, field, stored)

    def read(subscription: Subscription) -> Any:
        return next(subscription, None)

    with narrows.subscribe(cam.stream, redis_url=server.url, from_id="0", timeout_s=0.3) as found:
        with pytest.raises(LabelTablesMissing, match=says):
            await asyncio.to_thread(read, found)
        second = await asyncio.to_thread(read, found)
    np.testing.assert_array_equal(second.labels, cam.expected(1))


async def test_tables_that_come_back_are_read_without_a_new_subscription(
    masker: MakeMaskCamera, masking: Bundle, dispatching: Start, server: LocalRedis, store: Store
) -> None:
    cam = masker()
    await cam.settings(SMALL_MASKS)
    async with dispatching(serving=masking):
        await cam.send(cam.packet())
        await cam.ended(mask=1)
        there = await store.hash_of(LABEL_TABLES_KEY)
    await store.call("DEL", LABEL_TABLES_KEY)
    with narrows.subscribe(cam.stream, redis_url=server.url, from_id="0", timeout_s=5) as found:
        with pytest.raises(LabelTablesMissing):
            await asyncio.to_thread(next, found)
        await store.call("HSET", LABEL_TABLES_KEY, *(part for field in there.items() for part in field))
        await store.call("XADD", cam.keys.outcomes, "*", "k", "mask", "p", (await bodies(cam))[0])
        mask: Any = await asyncio.to_thread(next, found)
    np.testing.assert_array_equal(mask.labels, cam.expected(0))


async def test_a_bundle_without_tables_of_its_own_packs_with_the_general_ones(
    camera: MakeCamera, dispatching: Start, server: LocalRedis, store: Store
) -> None:
    cam = camera()
    await cam.settings(SMALL_MASKS)
    async with dispatching():
        await cam.frames(2)
        await cam.ended(mask=2)
        assert LabelTables.parse(next(iter((await store.hash_of(LABEL_TABLES_KEY)).values()))).id == (
            general_label_tables().id
        )
    assert await store.call("EXISTS", INSTALL_KEY) == 1
    assert {label_tables_of(data) for data in await bodies(cam)} == {general_label_tables().id}
    assert len(await subscribed(server, cam.stream)) == 2
