"""Masks that cameras made themselves through a real server: they end as any frame does, and no server is asked."""

import dataclasses
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from msgspec import structs

from narrows.contract.bundle import Bundle
from narrows.contract.outputs.objects import ObjectMask, Objects
from narrows.contract.wire import Control, FrameIdentity, MaskPacket, PacketKind, Refusal
from narrows.contract.wire.frame_packet import FramePacket, PacketContext, Section, SectionLayout, Tensor
from orchestrator.dispatch import Dispatcher, Store
from tests.integration.dispatch.mask_camera import MakeMaskCamera, MaskCamera, as_bytes
from tests.integration.dispatch.rig import CLASSES, QUICK, MakeCamera, RuleDecoder, Start, metric, until
from tests.unit.wire.frame_packet_samples import CONTEXT, LATENT, with_context

COMPLETE = b'{"policy": "complete"}'


async def masks(cam: MaskCamera) -> list[MaskPacket]:
    """The masks, each of which is checked to be the one that was sent."""
    found = [each for each in await cam.outcomes() if isinstance(each, MaskPacket)]
    for mask in found:
        np.testing.assert_array_equal(mask.labels, cam.expected(mask.identity.sequence))
    return found


async def sequences(cam: MaskCamera) -> list[int]:
    return [mask.identity.sequence for mask in await masks(cam)]


async def counted(dispatcher: Dispatcher, count: int, name: str, **labels: str) -> None:
    """Wait until a metric has a value: it moves when the answer to what ended a frame is read, after the ledger."""

    async def value() -> float:
        return metric(dispatcher, name, **labels)

    async def there() -> bool:
        return await value() == count

    await until(there, value)


async def test_a_cameras_mask_is_published_with_its_areas_and_identity_and_no_server_is_asked(
    masker: MakeMaskCamera, masking: Bundle, dispatching: Start, decoder: RuleDecoder
) -> None:
    cam = masker()
    decoder.away = True
    packets = [cam.mask() for _ in range(3)]
    async with dispatching(serving=masking) as dispatcher:
        await cam.send(*as_bytes(*packets))
        await cam.ended(mask=3)
        await counted(dispatcher, 3, "narrows_masks_total", made_by="camera", group="default")
        await counted(dispatcher, 3, "narrows_slo_frames_total", policy="realtime", within="yes")
        await counted(dispatcher, 0, "narrows_masks_total", made_by="cloud", group="default")
    found = await masks(cam)
    assert [mask.identity for mask in found] == [FrameIdentity(cam.epoch, sequence) for sequence in range(3)]
    assert [mask.capture_ms for mask in found] == [packet.head.capture_ms for packet in packets]
    assert [mask.feature_bytes for mask in found] == [len(data) for data in as_bytes(*packets)]
    for mask in found:
        assert mask.bundle_id == masking.id
        assert mask.areas.tolist() == np.bincount(mask.labels.reshape(-1), minlength=CLASSES).tolist()
        assert (mask.timings.batch_us, mask.timings.infer_us) == (0, 0)
        assert mask.timings.decode_us > 0
    assert decoder.batches == []


async def test_what_a_camera_outlined_is_passed_on_with_its_frame_and_no_server_is_asked(
    masker: MakeMaskCamera, masking: Bundle, dispatching: Start, decoder: RuleDecoder
) -> None:
    cam = masker()
    decoder.away = True
    outlined = [Objects(64, 48, 12, (ObjectMask(3, 7, -4, 2 + n, 24, np.eye(12) > 0),)) for n in range(2)]
    packets = [cam.mask(), *(cam.with_objects(cam.mask(), objects, 0xABCD) for objects in outlined)]
    async with dispatching(serving=masking):
        await cam.send(*as_bytes(*packets))
        await cam.ended(mask=3)
    found = await masks(cam)
    told = [mask.objects and mask.objects.to_bytes() for mask in found]
    assert told == [None, *(each.to_bytes() for each in outlined)]
    assert [output.version for output in found[1].further] == ["000000000000abcd"]
    assert (await cam.ledger()) == {"mask": 3}


async def test_objects_travel_behind_features_and_further_ones_are_coded_against_these(
    masker: MakeMaskCamera, masking: Bundle, dispatching: Start
) -> None:
    cam = masker()
    outlined = Objects(64, 48, 12, (ObjectMask(3, 7, 0, 0, 24, None),))
    async with dispatching(serving=masking):
        packets = [cam.with_objects(cam.features(make()), outlined, 1) for make in (cam.packet, cam.predicted)]
        await cam.send(*as_bytes(*packets))
        await cam.ended(mask=2)
    found = await masks(cam)
    assert [mask.objects is not None and mask.objects.masks[0].prompt for mask in found] == [3, 3]


async def test_objects_alone_end_as_a_frame_of_their_stream_and_no_server_is_asked(
    masker: MakeMaskCamera, masking: Bundle, dispatching: Start, decoder: RuleDecoder
) -> None:
    """In the same stream, ledger and subscription as the frames before and behind them."""
    cam = masker()
    decoder.away = True
    outlined = [Objects(64, 48, 12, (ObjectMask(3, 7, n, 2, 24, np.eye(12) > 0),)) for n in range(2)]
    nothing = Objects(64, 48, 12, ())
    packets = [cam.objects_alone(each, 0xABCD) for each in (*outlined, nothing)]
    async with dispatching(serving=masking) as dispatcher:
        await cam.send(*as_bytes(*packets, cam.mask()))
        await cam.ended(mask=4)
        await counted(dispatcher, 4, "narrows_masks_total", made_by="camera", group="default")
    results = await cam.results()
    assert len(await masks(cam)) == 1
    assert [each.objects and each.objects.to_bytes() for each in results] == [
        each.to_bytes() for each in (*outlined, nothing)
    ]
    assert [each.identity.sequence for each in results] == [0, 1, 2]
    assert [each.feature_bytes for each in results] == [len(data) for data in as_bytes(*packets)]
    assert results[0].further[0].version == "000000000000abcd"
    assert (await cam.ledger()) == {"mask": 4}


async def test_objects_alone_that_are_none_are_refused_and_cost_the_next_nothing(
    masker: MakeMaskCamera, masking: Bundle, dispatching: Start
) -> None:
    cam = masker()
    good = cam.objects_alone(Objects(64, 48, 12, ()), 1)
    broken = cam.objects_alone(Objects(64, 48, 12, ()), 1)
    broken = structs.replace(broken, sections=(structs.replace(broken.sections[0], payload=b"none"),))
    async with dispatching(serving=masking):
        await cam.send(*as_bytes(good, broken, cam.objects_alone(Objects(64, 48, 12, ()), 1)))
        await cam.ended(mask=2, refused=1)
    (refused,) = [each for each in await cam.outcomes() if isinstance(each, Refusal)]
    assert refused.reason == "undecodable"


@pytest.mark.parametrize("divisor", [2, 4, 8])
async def test_a_mask_may_have_a_part_of_the_outputs_sides(
    masker: MakeMaskCamera, masking: Bundle, dispatching: Start, divisor: int
) -> None:
    cam = masker(divisor=divisor)
    async with dispatching(serving=masking):
        await cam.send(*as_bytes(cam.mask(), cam.mask()))
        await cam.ended(mask=2)
    assert [mask.labels.shape for mask in await masks(cam)] == [(-(-12 // divisor), 16 // divisor)] * 2


async def test_a_mask_may_be_coded_with_the_bundles_own_tables(
    masker: MakeMaskCamera, masking: Bundle, dispatching: Start
) -> None:
    assert masking.label_tables is not None
    cam = masker(tables=masking.label_tables)
    async with dispatching(serving=masking):
        await cam.send(*as_bytes(cam.mask()))
        await cam.ended(mask=1)
    assert await sequences(cam) == [0]


@pytest.mark.parametrize("policy", [b"{}", COMPLETE])
async def test_a_stream_changes_between_features_and_masks_and_loses_no_frame(
    masker: MakeMaskCamera, masking: Bundle, dispatching: Start, policy: bytes
) -> None:
    cam = masker()
    if policy == COMPLETE:
        await cam.settings(policy)
    async with dispatching(serving=masking):
        for _ in range(2):
            await cam.send(*as_bytes(cam.features(cam.packet()), *(cam.features(cam.predicted()) for _ in range(3))))
            await cam.send(*as_bytes(*(cam.mask() for _ in range(3))))
        await cam.send(cam.packet(), cam.predicted())
        await cam.ended(mask=16)
    assert await sequences(cam) == list(range(16))
    assert (await cam.ledger()).keys() == {"mask"}


async def test_a_prediction_that_names_a_mask_is_all_that_a_switch_costs(
    masker: MakeMaskCamera, masking: Bundle, dispatching: Start, store: Store
) -> None:
    cam = masker()
    async with dispatching(serving=masking):
        await cam.send(*as_bytes(cam.features(cam.packet()), cam.mask()), cam.predicted(), cam.packet())
        await cam.ended(mask=3, refused=1, **{"refused:reference_lost": 1})
        assert Control.parse(await store.call("GET", cam.keys.control)).key_request == 1
    assert await sequences(cam) == [0, 1, 3]


@pytest.mark.parametrize("planned", [True, False])
async def test_the_next_owner_of_the_shard_reads_on_between_masks_and_finds_the_chain_around_them(
    masker: MakeMaskCamera, masking: Bundle, dispatching: Start, store: Store, *, planned: bool
) -> None:
    cam = masker()
    await cam.settings(COMPLETE)
    async with dispatching(serving=masking):
        await cam.send(cam.packet(), cam.predicted(), *as_bytes(cam.mask(), cam.mask()))
        await cam.ended(mask=4)
    if not planned:  # an owner that took frames up and died
        await cam.leave_pending(*(await cam.send(*as_bytes(cam.mask()))))
    async with dispatching(serving=masking):
        await cam.send(*as_bytes(cam.mask(), cam.mask()))
        await cam.send(cam.predicted(distance=len(cam.planes) - 1))
        await cam.ended(mask=7 + (not planned))
    assert await sequences(cam) == list(range(7 + (not planned)))


async def test_a_stale_mask_is_skipped_as_any_frame_of_a_realtime_stream(
    masker: MakeMaskCamera, masking: Bundle, dispatching: Start
) -> None:
    cam = masker()
    await cam.settings(b'{"stale_ms": 1}')
    await cam.send(*as_bytes(cam.mask(), cam.audited()))
    async with dispatching(serving=masking):
        await cam.ended(skipped=2)
    assert await masks(cam) == []


def _spoiled(packet: FramePacket, **changes: Any) -> FramePacket:
    """With another label map section."""
    return structs.replace(packet, sections=(*packet.sections[:-1], structs.replace(packet.sections[-1], **changes)))


def _laid_out(packet: FramePacket, *layouts: SectionLayout) -> FramePacket:
    """In a context of its own, of these sections."""
    head = packet.head
    context = PacketContext(head.context.bundle_id, head.identity.epoch, head.sequence, head.capture_ms, layouts)
    return FramePacket(structs.replace(head, context=context), packet.sections[: len(layouts)])


def _predicted(cam: MaskCamera) -> FramePacket:
    packet = cam.mask()
    return structs.replace(packet, head=structs.replace(packet.head, kind=PacketKind.PREDICTED, reference_distance=1))


def _tensor(cam: MaskCamera) -> FramePacket:
    return _laid_out(cam.mask(), SectionLayout(Tensor((2, 2), 8)))


def _second_output(cam: MaskCamera) -> FramePacket:
    packet = cam.mask()
    return _laid_out(packet, structs.replace(packet.head.context.sections[0], id=1))


def _two_maps(cam: MaskCamera) -> FramePacket:
    packet = cam.mask()
    layout = packet.head.context.sections[0]
    return _laid_out(structs.replace(packet, sections=packet.sections * 2), layout, structs.replace(layout, id=1))


def _dependent(cam: MaskCamera) -> FramePacket:
    packet = cam.audited()
    latent, mask = packet.head.context.sections
    return _laid_out(packet, latent, structs.replace(mask, depends_on=frozenset({0})))


BAD: dict[str, tuple[str, Callable[[MaskCamera], FramePacket]]] = {
    "another size": ("shape_mismatch", lambda cam: cam.mask(height=11)),
    "a size that lies between": ("shape_mismatch", lambda cam: cam.mask(height=6)),
    "a decode bomb": ("shape_mismatch", lambda cam: cam.mask(height=4096, width=4096)),
    "another number of labels": ("shape_mismatch", lambda cam: cam.mask(labels=CLASSES + 1)),
    "a table of another bundle": ("unknown_label_table", lambda cam: cam.mask(table_id=1)),
    "a truncated payload": ("undecodable", lambda cam: _spoiled(packet := cam.mask(), payload=_short(packet))),
    "bytes left over": ("undecodable", lambda cam: _spoiled(packet := cam.mask(), payload=_long(packet))),
    "noise": ("undecodable", lambda cam: _spoiled(cam.mask(), payload=bytes(range(99)))),
    "other labels than were coded": ("digest_mismatch", lambda cam: _spoiled(cam.mask(), digest=5)),
    "an audited latent that is spoiled": (
        "digest_mismatch",
        lambda cam: structs.replace(
            packet := cam.audited(), sections=(_other_digest(packet.sections[0]), packet.sections[1])
        ),
    ),
    "P": ("predicted_label_map", _predicted),
    "a tensor": ("sections", _tensor),
    "an output after the first": ("sections", _second_output),
    "two label maps": ("sections", _two_maps),
    "a map that depends on the latent": ("sections", _dependent),
}


def _short(packet: FramePacket) -> bytes:
    return packet.sections[-1].payload[:-2]


def _long(packet: FramePacket) -> bytes:
    return packet.sections[-1].payload + b"\0\0"


def _other_digest(section: Section) -> Section:
    return structs.replace(section, digest=section.digest ^ 1)


@pytest.mark.parametrize("name", BAD)
async def test_a_spoiled_mask_ends_by_name_in_its_place_and_costs_no_neighbour(
    masker: MakeMaskCamera, masking: Bundle, dispatching: Start, name: str
) -> None:
    reason, make = BAD[name]
    cam, neighbour = masker("cam"), masker("neighbour", epoch=9)
    before = cam.mask()
    bad = make(cam)
    async with dispatching(serving=masking) as dispatcher:
        await cam.send(*as_bytes(before, bad, cam.mask()), cam.packet())
        await neighbour.send(*as_bytes(neighbour.mask(), neighbour.mask()))
        await cam.ended(mask=3, refused=1, **{f"refused:{reason}": 1})
        await neighbour.ended(mask=2)
        await counted(dispatcher, 1, "narrows_dead_letters_total", reason=reason)
    refusal = next(each for each in await cam.outcomes() if isinstance(each, Refusal))
    assert (refusal.reason, refusal.identity) == (reason, bad.identity)
    assert bad.identity.sequence not in await sequences(cam)


def _dependent_on_a_later_one() -> bytes:
    data = bytearray(dataclasses.replace(CONTEXT, sections=(LATENT, structs.replace(LATENT, id=1))).encoded)
    data[39:43] = (1 << 1).to_bytes(4, "little")
    return bytes(data)


def _overlapping() -> bytes:
    data = bytearray(dataclasses.replace(CONTEXT, sections=(LATENT, structs.replace(LATENT, id=1))).encoded)
    data[-10:-8] = b"\0\0"
    return bytes(data)


@pytest.mark.parametrize(
    ("reason", "context"),
    [
        ("section_count", CONTEXT.encoded[:34] + b"\x21" + CONTEXT.encoded[35:] * 33),
        ("section_order", _dependent_on_a_later_one()),
        ("section_overlap", _overlapping()),
        ("section_kind", CONTEXT.encoded[:35] + b"\xff" + CONTEXT.encoded[36:]),
    ],
)
async def test_sections_that_cannot_be_are_refused_by_name_and_cost_no_neighbour(
    masker: MakeMaskCamera, masking: Bundle, dispatching: Start, reason: str, context: bytes
) -> None:
    cam, neighbour = masker("cam"), masker("neighbour", epoch=9)
    async with dispatching(serving=masking) as dispatcher:
        await cam.send(*as_bytes(cam.mask()), with_context(context), *as_bytes(cam.mask()))
        await neighbour.send(*as_bytes(neighbour.mask(), neighbour.mask()))
        await cam.ended(mask=2, outside=1, **{f"refused:{reason}": 1})
        await neighbour.ended(mask=2)
        await counted(dispatcher, 1, "narrows_dead_letters_total", reason=reason)


async def test_a_mask_for_a_bundle_without_a_decoder_for_cameras_is_refused_by_name(
    store: Store, bundle: Bundle, dispatching: Start, camera: MakeCamera
) -> None:
    cam = MaskCamera(store, bundle, "cam")
    async with dispatching():
        await cam.send(*as_bytes(cam.mask(), cam.audited()), cam.packet())
        await cam.ended(mask=1, refused=2, **{"refused:no_camera_decoder": 2})
    refusal = next(each for each in await cam.outcomes() if isinstance(each, Refusal))
    assert "let it send features" in refusal.detail


async def test_a_mask_that_arrives_twice_is_published_once(
    masker: MakeMaskCamera, masking: Bundle, dispatching: Start
) -> None:
    cam = masker()
    packets = as_bytes(cam.mask(), cam.mask())
    async with dispatching(serving=masking):
        await cam.send(*packets, *packets)

        async def read() -> bool:
            return await cam.unfinished() == 0

        await until(read)
    assert await cam.ledger() == {"mask": 2, "duplicate": 2}
    assert await sequences(cam) == [0, 1]


async def test_a_mask_keeps_its_place_behind_features_that_wait_for_a_server(
    masker: MakeMaskCamera, masking: Bundle, dispatching: Start, decoder: RuleDecoder
) -> None:
    cam = masker()
    async with dispatching(replace(QUICK, room=16), serving=masking) as dispatcher:
        decoder.gate.clear()
        await cam.send(cam.packet(), *as_bytes(cam.mask()))
        shard = dispatcher.shards

        async def both_held() -> bool:
            held = [len(s.streams[cam.stream].held) for s in shard.values() if cam.stream in s.streams]
            return held == [2]

        await until(both_held)
        assert await cam.ledger() == {}
        decoder.gate.set()
        await cam.ended(mask=2)
    assert await sequences(cam) == [0, 1]
