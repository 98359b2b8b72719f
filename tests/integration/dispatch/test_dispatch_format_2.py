"""Packets of format 2 through a real server: the same masks, and contexts that outlive who took them."""

import dataclasses
import time
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from edge_client.encode.writing import PacketWriter
from narrows.contract.seal import Keyring, seal_frame
from narrows.contract.seal.key_folder import KeyFolder
from narrows.contract.wire import Control, FeaturePacket, FrameIdentity, MaskPacket, Refusal
from narrows.contract.wire.frame_packet import FramePacket, LabelMap, PacketContext, Section, SectionLayout, Tensor
from narrows.contract.wire.frame_packet.feature import Origin, as_frame, beginning_with
from narrows.contract.wire.frame_packet.header import is_frame_packet
from orchestrator.dispatch import Store
from orchestrator.dispatch.contexts import MOST_CONTEXTS
from orchestrator.dispatch.unsealing import KeySettings
from tests.integration.dispatch.rig import Camera, MakeCamera, Start, rule, until


def chain(cam: Camera, count: int) -> list[FeaturePacket]:
    """A K and P packets behind it."""
    return [cam.packet(), *(cam.predicted() for _ in range(count - 1))]


def short(packets: list[FeaturePacket], origin: Origin | None = None) -> list[FramePacket]:
    """The packets in one context, which begins with the first."""
    context = beginning_with(packets[0], origin or Origin())
    return [as_frame(packet, context) for packet in packets]


def as_bytes(packets: list[FramePacket]) -> list[bytes]:
    return [packet.to_bytes() for packet in packets]


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


async def test_both_formats_end_in_masks_in_one_stream(camera: MakeCamera, dispatching: Start) -> None:
    cam = camera()
    async with dispatching():
        await cam.send(*chain(cam, 3), *as_bytes(short(chain(cam, 3))), *chain(cam, 2))
        await cam.ended(mask=8)
    assert await masks(cam) == list(range(8))


async def test_a_new_owner_reads_on_with_the_context_that_the_last_one_kept(
    camera: MakeCamera, dispatching: Start, store: Store
) -> None:
    cam = camera()
    await cam.settings(b'{"policy":"complete"}')
    packets = as_bytes(short(chain(cam, 6)))
    async with dispatching():
        await cam.send(*packets[:3])
        await cam.ended(mask=3)
    assert 0 < await store.call("PTTL", cam.keys.contexts) <= 3_600_000
    async with dispatching():
        await cam.send(*packets[3:])
        await cam.ended(mask=6)
    assert await masks(cam) == list(range(6))
    assert await asked(cam, store) == 0


async def test_a_short_key_packet_is_enough_for_a_new_owner_of_a_realtime_stream(
    camera: MakeCamera, dispatching: Start, store: Store
) -> None:
    cam = camera()
    packets = as_bytes(short([cam.packet() for _ in range(4)]))
    async with dispatching():
        await cam.send(*packets[:2])
        await cam.ended(mask=2)
    async with dispatching():
        await cam.send(*packets[2:])
        await cam.ended(mask=4)


async def test_a_lost_context_is_booked_by_name_and_a_key_is_asked_for(
    camera: MakeCamera, dispatching: Start, store: Store
) -> None:
    cam = camera()
    packets = as_bytes(short(chain(cam, 4)))
    async with dispatching():
        await cam.send(*packets[1:])
        await cam.ended(outside=3, **{"refused:context_lost": 3})
        assert await asked(cam, store) == 1
        await cam.send(*as_bytes(short(chain(cam, 3))))
        await cam.ended(mask=3)
    refusals = [each for each in await cam.outcomes() if isinstance(each, Refusal)]
    assert {each.reason for each in refusals} == {"context_lost"}
    assert await masks(cam) == [4, 5, 6]


async def test_the_newest_contexts_are_kept_and_no_more(camera: MakeCamera, dispatching: Start, store: Store) -> None:
    cam = camera()
    chains = [short(chain(cam, 1)) for _ in range(MOST_CONTEXTS + 3)]
    async with dispatching():
        for each in chains:
            await cam.send(*as_bytes(each))
        await cam.ended(mask=len(chains))
    kept = await store.call("LRANGE", cam.keys.contexts, 0, -1)
    assert kept == [each[0].head.context.encoded for each in chains[-MOST_CONTEXTS:]]


async def test_junk_among_the_kept_contexts_costs_nothing_but_itself(
    camera: MakeCamera, dispatching: Start, store: Store
) -> None:
    cam = camera()
    await cam.settings(b'{"policy":"complete"}')
    packets = as_bytes(short(chain(cam, 4)))
    async with dispatching():
        await cam.send(*packets[:2])
        await cam.ended(mask=2)
    await store.call("RPUSH", cam.keys.contexts, b"junk", _other())
    async with dispatching():
        await cam.send(*packets[2:])
        await cam.ended(mask=4)


def _other() -> bytes:
    return PacketContext(1, 2, 3, 4, (SectionLayout(LabelMap(1, 1, 2)),)).encoded


async def test_a_packet_of_other_sections_has_a_place_and_is_refused_by_name(
    camera: MakeCamera, dispatching: Start
) -> None:
    cam = camera()
    first = short([cam.packet()])[0]
    context = dataclasses.replace(
        first.head.context, sections=(*first.head.context.sections, SectionLayout(Tensor((4, 4), 2)))
    )
    both = FramePacket(replace(first.head, context=context), (*first.sections, Section(0, b"values")))
    async with dispatching():
        await cam.send(both.to_bytes(), cam.packet())
        await cam.ended(refused=1, mask=1, **{"refused:sections": 1})
    refusal = next(each for each in await cam.outcomes() if isinstance(each, Refusal))
    assert refusal.identity == first.head.identity
    assert "Latent, Tensor" in refusal.detail


async def test_wrong_symbols_are_a_digest_mismatch_though_less_of_the_digest_travels(
    camera: MakeCamera, dispatching: Start
) -> None:
    cam = camera()
    frame = short([cam.packet()])[0]
    wrong = replace(frame, sections=(replace(frame.sections[0], digest=frame.sections[0].digest ^ 1),))
    async with dispatching():
        await cam.send(wrong.to_bytes())
        await cam.ended(refused=1, **{"refused:digest_mismatch": 1})


@pytest.fixture
def folder(tmp_path: Path) -> KeyFolder:
    made = KeyFolder(tmp_path / "keys")
    made.begin(Keyring().rotated(int(time.time() * 1000), None))
    return made


async def test_sealed_packets_are_opened_by_a_new_owner_with_the_kept_context(
    folder: KeyFolder, camera: MakeCamera, dispatching: Start
) -> None:
    cam, keys = camera("cam"), KeySettings(folder.path, require_sealed=True)
    await cam.settings(b'{"policy":"complete"}')
    key = folder.read().issue("cam", int(time.time() * 1000))
    packets = [seal_frame(each, key) for each in short(chain(cam, 4), Origin(cipher=1, key_id=key.key_id))]
    async with dispatching(keys=keys):
        await cam.send(*packets[:2])
        await cam.ended(mask=2)
    async with dispatching(keys=keys):
        await cam.send(*packets[2:])
        await cam.ended(mask=4)
    assert await masks(cam) == [0, 1, 2, 3]


async def test_what_is_not_authentic_leaves_no_context(
    folder: KeyFolder, camera: MakeCamera, dispatching: Start, store: Store
) -> None:
    cam, keys = camera("cam"), KeySettings(folder.path, require_sealed=True)
    other = folder.read().issue("other", int(time.time() * 1000))
    forged = [seal_frame(each, other) for each in short(chain(cam, 2), Origin(cipher=1, key_id=other.key_id))]
    async with dispatching(keys=keys):
        await cam.send(*forged, *as_bytes(short([cam.packet()])))
        await cam.ended(outside=3, **{"refused:seal_broken": 1, "refused:context_lost": 1, "refused:seal_missing": 1})
    assert await store.call("EXISTS", cam.keys.contexts) == 0


async def test_a_context_that_redis_lost_with_its_last_second_is_still_known_here(
    camera: MakeCamera, dispatching: Start, store: Store
) -> None:
    cam = camera()
    packets = as_bytes(short(chain(cam, 4)))
    async with dispatching():
        await cam.send(*packets[:2])
        await cam.ended(mask=2)
        await store.call("DEL", cam.keys.contexts)
        await cam.send(*packets[2:])
        await cam.ended(mask=4)

    async def nothing_left() -> bool:
        return await cam.unfinished() == 0

    await until(nothing_left)


async def test_an_upgrade_a_mixed_fleet_and_the_way_back_cost_no_frame(
    camera: MakeCamera, dispatching: Start, store: Store
) -> None:
    """Cameras write what the install record allows; owners of the shard change at every step."""
    allowed, newer, older = [1], camera("newer"), camera("older")
    for cam in (newer, older):
        await cam.settings(b'{"policy":"complete"}')
    writers = {"newer": PacketWriter(None, lambda: allowed[0]), "older": PacketWriter(None, lambda: 1)}
    formats: dict[str, list[int]] = {"newer": [], "older": []}
    for step, newest in enumerate([1, 2, 2, 1, 2], start=1):
        allowed[0] = newest
        async with dispatching():
            for _ in range(4):
                for cam in (newer, older):
                    data = _written(cam, writers[cam.stream])
                    formats[cam.stream].append(1 + is_frame_packet(data))
                    await cam.send(data)
            await newer.ended(mask=4 * step)
            await older.ended(mask=4 * step)
    assert formats == {"newer": [1] * 4 + [2] * 8 + [1] * 4 + [2] * 4, "older": [1] * 20}
    for cam in (newer, older):
        assert await masks(cam) == list(range(20))
        assert (await cam.ledger()).keys() == {"mask"}


def _written(cam: Camera, writer: PacketWriter) -> bytes:
    """The next frame as a camera's program writes it: a K where one is wanted, else a P."""
    identity, now_ms = FrameIdentity(cam.epoch, cam.sequence), int(time.time() * 1000)
    wanted = writer.wants_key(identity, now_ms, 1920, 1080) or cam.sequence == 0
    packet = cam.packet() if wanted else cam.predicted()
    return writer.write(replace(packet, capture_ms=now_ms), begin=wanted).data
