"""Audited frames: the camera's mask is published at once, and held against the one that the cloud makes."""

import asyncio

import numpy as np
import pytest
import redis

from narrows.client.registry.camera_masks import Sent, read_camera_masks
from narrows.contract.bundle import Bundle
from narrows.contract.wire import MaskPacket
from orchestrator.dispatch import Dispatcher
from orchestrator.dispatch.audits import MOST_AUDITS, MOST_OF_ONE
from orchestrator.servers import LocalRedis
from tests.integration.dispatch.mask_camera import MakeMaskCamera, as_bytes
from tests.integration.dispatch.rig import RuleDecoder, Start, metric, until

GROUP = {"group": "default"}


def count(dispatcher: Dispatcher, name: str, **labels: str) -> float:
    return metric(dispatcher, name, **GROUP, **labels)


def audits(dispatcher: Dispatcher) -> dict[str, int]:
    return {each: int(count(dispatcher, "narrows_audits_total", outcome=each)) for each in ("compared", "dropped")}


def pixels(dispatcher: Dispatcher) -> dict[str, int]:
    return {each: int(count(dispatcher, "narrows_audited_pixels_total", agrees=each)) for each in ("yes", "no")}


async def settled(dispatcher: Dispatcher, **counts: int) -> None:
    """Wait until so many audits came to an end."""

    async def there() -> bool:
        return audits(dispatcher) == counts

    async def state() -> dict[str, int]:
        return audits(dispatcher)

    await until(there, state)


@pytest.mark.parametrize(("divisor", "size"), [(1, 192), (2, 48), (8, 4)])
async def test_the_cloud_agrees_with_the_same_mask_at_every_size(
    masker: MakeMaskCamera, masking: Bundle, dispatching: Start, decoder: RuleDecoder, divisor: int, size: int
) -> None:
    cam = masker(divisor=divisor)
    async with dispatching(serving=masking) as dispatcher:
        await cam.send(*as_bytes(cam.audited(), cam.mask(), cam.audited()))
        await cam.ended(mask=3)
        await settled(dispatcher, compared=2, dropped=0)
        assert pixels(dispatcher) == {"yes": 2 * size, "no": 0}
    assert sum(decoder.batches) == 2
    assert await cam.ledger() == {"mask": 3}


async def test_pixels_that_differ_are_counted_and_the_cameras_mask_is_what_is_published(
    masker: MakeMaskCamera, masking: Bundle, dispatching: Start
) -> None:
    cam = masker()
    other = np.zeros((12, 16), np.uint8)
    packet = cam.audited(other)
    differing = int(np.count_nonzero(cam.expected(0) != other))
    async with dispatching(serving=masking) as dispatcher:
        await cam.send(packet.to_bytes())
        await cam.ended(mask=1)
        await settled(dispatcher, compared=1, dropped=0)
        assert pixels(dispatcher) == {"yes": 192 - differing, "no": differing}
    (mask,) = await cam.outcomes()
    assert isinstance(mask, MaskPacket)
    np.testing.assert_array_equal(mask.labels, other)


async def test_while_triton_is_away_masks_are_published_and_their_audits_dropped(
    masker: MakeMaskCamera, masking: Bundle, dispatching: Start, decoder: RuleDecoder
) -> None:
    cam = masker()
    await cam.settings(b'{"policy": "complete", "stale_ms": 300}')
    decoder.away = True
    async with dispatching(serving=masking) as dispatcher:
        await cam.send(*as_bytes(*(cam.audited() for _ in range(70))))
        await cam.ended(mask=70)
        await settled(dispatcher, compared=0, dropped=70)
        decoder.away = False

        async def compared_again() -> bool:
            await cam.send(cam.audited().to_bytes())
            await asyncio.sleep(0.1)
            return audits(dispatcher)["compared"] > 0

        await until(compared_again)


async def test_what_the_network_refuses_costs_the_audit_and_not_the_frame(
    masker: MakeMaskCamera, masking: Bundle, dispatching: Start, decoder: RuleDecoder
) -> None:
    cam, neighbour = masker(), masker("neighbour", epoch=9)
    first = cam.audited()
    poison = cam.planes[0]
    decoder.refuse = lambda symbols: bool(np.array_equal(symbols, poison))
    async with dispatching(serving=masking) as dispatcher:
        await cam.send(*as_bytes(first, cam.audited()))
        await neighbour.send(neighbour.packet())
        await cam.ended(mask=2)
        await neighbour.ended(mask=1)
        await settled(dispatcher, compared=1, dropped=1)


async def test_a_camera_that_has_every_frame_audited_leaves_room_for_its_neighbours_audits(
    masker: MakeMaskCamera, masking: Bundle, dispatching: Start, decoder: RuleDecoder
) -> None:
    flood, neighbour = masker(), masker("neighbour", epoch=9)
    for cam in (flood, neighbour):
        await cam.settings(b'{"policy": "complete", "stale_ms": 60000}')
    decoder.gate.clear()
    async with dispatching(serving=masking) as dispatcher:
        await flood.send(*as_bytes(*(flood.audited() for _ in range(MOST_AUDITS + 6))))
        await flood.ended(mask=MOST_AUDITS + 6)
        await neighbour.send(*as_bytes(neighbour.audited(), neighbour.audited()))
        await neighbour.ended(mask=2)
        decoder.gate.set()
        await settled(dispatcher, compared=MOST_OF_ONE + 2, dropped=MOST_AUDITS + 6 - MOST_OF_ONE)


async def test_the_report_names_the_streams_that_send_masks_and_those_that_are_audited(
    masker: MakeMaskCamera, masking: Bundle, dispatching: Start, server: LocalRedis
) -> None:
    held, own = masker("held"), masker("own")
    async with dispatching(serving=masking):
        await held.send(*as_bytes(held.audited(), held.mask()))
        await own.send(own.mask().to_bytes())

        async def said() -> tuple[Sent | None, Sent | None, Sent | None]:
            with redis.Redis.from_url(server.url) as client:
                masks = await asyncio.to_thread(read_camera_masks, client)
            return masks.sent("held"), masks.sent("own"), masks.sent("another")

        async def named() -> bool:
            return await said() == (Sent.AUDITED, Sent.MASKS, Sent.FEATURES)

        await until(named, said)
