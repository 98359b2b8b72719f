"""Bad input is named: each ends under its reason, in the counter, the ledger and the dead letters; neighbours go on."""

import struct
import time
import zlib
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from narrows.contract.codec import encode_symbols
from narrows.contract.wire import FrameIdentity, LatentShape, MaskPacket, Refusal, ShardKeys, shard_of
from orchestrator.dispatch import Dispatcher, Store
from tests.integration.dispatch.rig import SHARDS, Camera, MakeCamera, Start, metric, until

Spoil = Callable[[Camera], bytes]


def _resealed(data: bytearray) -> bytes:
    struct.pack_into("<I", data, 44, zlib.crc32(data[48:], zlib.crc32(data[:44])))
    return bytes(data)


def _patched(cam: Camera, offset: int, value: int, *, reseal: bool = True) -> bytes:
    data = bytearray(cam.packet().to_bytes())
    data[offset] = value
    return _resealed(data) if reseal else bytes(data)


def _with_shape(cam: Camera, channels: int, height: int, width: int) -> bytes:
    data = bytearray(cam.packet().to_bytes())
    struct.pack_into("<I", data, 32, (channels - 1) | (height - 1) << 10 | (width - 1) << 21)
    return _resealed(data)


# What is sent, the reason that must be named, and whether the bytes yield an identity.
SPOILED: dict[str, tuple[Spoil, str, bool]] = {
    "unknown bundle": (lambda cam: cam.packet(bundle_id=0xBAD).to_bytes(), "unknown_bundle", True),
    "wrong schema version": (lambda cam: _patched(cam, 0, 9), "schema_version", False),
    "CRC mismatch": (lambda cam: _patched(cam, 60, 255, reseal=False), "crc_mismatch", False),
    "digest mismatch": (lambda cam: cam.packet(own_digest=1).to_bytes(), "digest_mismatch", True),
    "shape beyond limits": (lambda cam: _with_shape(cam, 1024, 2048, 2048), "shape_limits", False),
    "shape of another bundle": (lambda cam: _with_shape(cam, 5, 6, 8), "shape_mismatch", True),
    "a level that the bundle lacks": (lambda cam: cam.packet(level=2).to_bytes(), "shape_mismatch", True),
    "empty payload": (lambda cam: _resealed(bytearray(cam.packet().to_bytes()[:48])), "empty_payload", False),
    "truncated": (lambda cam: cam.packet().to_bytes()[:47], "truncated", False),
    "no bytes": (lambda cam: b"", "truncated", False),
    "payload cut short": (lambda cam: cam.packet(payload=b"\x00").to_bytes(), "undecodable", True),
    "sealed, and no keys here": (lambda cam: cam.packet(cipher=1, key_id=1).to_bytes(), "seal_key_unknown", False),
    "beyond a packet's size": (lambda cam: cam.packet().to_bytes() + bytes(1 << 20), "too_large", False),
}


@pytest.mark.parametrize(("spoil", "reason", "known"), SPOILED.values(), ids=SPOILED.keys())
async def test_a_spoiled_frame_ends_by_name_and_its_neighbours_in_masks(
    spoil: Spoil, reason: str, *, known: bool, camera: MakeCamera, dispatching: Start
) -> None:
    cam, neighbour = camera("cam"), camera("neighbour")
    spoiled = spoil(cam)
    async with dispatching() as dispatcher:
        await neighbour.frames(2)
        await cam.send(spoiled, cam.packet())
        await neighbour.frames(2)
        await cam.ended(mask=1, **{f"refused:{reason}": 1})
        await neighbour.ended(mask=4)
        assert _refused(dispatcher, reason) == 1
    refusal, mask = await cam.outcomes()
    assert isinstance(refusal, Refusal)
    assert refusal.reason == reason
    assert refusal.identity == (FrameIdentity(7, 0) if known else None)
    assert isinstance(mask, MaskPacket)
    (letter,) = await cam.dead()
    assert letter[b"reason"] == reason.encode()
    assert letter[b"head"] == spoiled[:256]
    assert letter[b"size"] == str(len(spoiled)).encode()
    assert letter[b"detail"].decode() == refusal.detail
    assert await cam.unfinished() == 0


async def test_an_entry_of_100_mb_is_refused_and_removed(camera: MakeCamera, dispatching: Start) -> None:
    cam, neighbour = camera("cam"), camera("neighbour")
    async with dispatching():
        await cam.send(bytes(100_000_000))
        await neighbour.frames(3)
        await cam.ended(outside=1, **{"refused:too_large": 1})
        await neighbour.ended(mask=3)
    (letter,) = await cam.dead()
    assert letter[b"head"] == b"", "it was not read"
    assert await cam.unfinished() == 0


async def test_an_entry_without_the_packet_field_is_refused(camera: MakeCamera, dispatching: Start) -> None:
    cam = camera()
    async with dispatching():
        await cam.send(cam.packet(), name=b"payload")
        await cam.ended(outside=1, **{"refused:missing_field": 1})
    (letter,) = await cam.dead()
    assert b"payload" in letter[b"detail"]


@pytest.mark.parametrize("stream", ["cam/1", "..", "cam 1", "", "c" * 65, "\n", "kamera-ü"])
async def test_an_odd_stream_id_is_refused_once_and_left_alone(
    stream: str, store: Store, camera: MakeCamera, dispatching: Start
) -> None:
    shard = shard_of(stream, SHARDS)
    key = f"narrows:{{{shard}}}:in:{stream}"
    await store.call("XADD", key, "*", "p", "x")
    neighbour = camera("neighbour")
    async with dispatching() as dispatcher:
        await until(lambda: _is(lambda: _refused(dispatcher, "stream_id") == 1))
        await neighbour.frames(3)
        await neighbour.ended(mask=3)
        assert _refused(dispatcher, "stream_id") == 1
    assert await store.call("XLEN", key) == 1
    assert await store.call("XLEN", ShardKeys(shard).dead) == 1


async def test_a_stream_in_a_shard_that_is_not_its_own_is_refused(store: Store, dispatching: Start) -> None:
    wrong = (shard_of("cam-1", SHARDS) + 1) % SHARDS
    await store.call("XADD", f"narrows:{{{wrong}}}:in:cam-1", "*", "p", "x")
    async with dispatching() as dispatcher:
        await until(lambda: _is(lambda: _refused(dispatcher, "stream_id") == 1))


async def test_a_clock_in_the_future_is_counted_and_its_frame_decoded(camera: MakeCamera, dispatching: Start) -> None:
    cam = camera()
    tomorrow_ms = int(time.time() * 1000) + 86_400_000
    async with dispatching() as dispatcher:
        await cam.send(cam.packet(capture_ms=tomorrow_ms), cam.packet())
        await cam.ended(mask=2)
        sample = dispatcher.metrics.registry.get_sample_value
        assert sample("narrows_clock_future_total") == 1
        assert sample("narrows_stage_seconds_count", {"stage": "uplink"}) == 1


@pytest.mark.parametrize("captured_ms", [0, 1, "an hour ago"])
async def test_a_capture_time_far_in_the_past_is_counted_and_no_time_of_the_uplink(
    camera: MakeCamera, dispatching: Start, captured_ms: int | str
) -> None:
    cam = camera()
    if isinstance(captured_ms, str):
        captured_ms = int(time.time() * 1000) - 3_600_000
    async with dispatching() as dispatcher:
        await cam.send(cam.packet(capture_ms=captured_ms), cam.packet())
        await cam.ended(mask=2)
        sample = dispatcher.metrics.registry.get_sample_value
        assert sample("narrows_clock_behind_total") == 1
        assert sample("narrows_clock_future_total") == 0
        assert sample("narrows_stage_seconds_count", {"stage": "uplink"}) == 1
        assert (sample("narrows_stage_seconds_sum", {"stage": "uplink"}) or 0.0) < 60


async def test_a_stream_may_refuse_a_clock_in_the_future(camera: MakeCamera, dispatching: Start) -> None:
    cam = camera()
    await cam.settings(b'{"refuse_future_clock": true}')
    await cam.send(cam.packet(capture_ms=int(time.time() * 1000) + 86_400_000))
    async with dispatching():
        await cam.ended(refused=1, **{"refused:clock_future": 1})


async def test_a_duplicate_identity_is_counted_and_not_published_again(camera: MakeCamera, dispatching: Start) -> None:
    cam = camera()
    packets = [cam.packet() for _ in range(3)]
    async with dispatching() as dispatcher:
        await cam.send(*packets)
        await cam.ended(mask=3)
        await cam.send(*packets, packets[0])
        await cam.ended(mask=3, duplicate=4)
        labels = {"outcome": "duplicate", "reason": "duplicate", "group": "default"}
        sample = dispatcher.metrics.registry.get_sample_value
        await until(lambda: _is(lambda: sample("narrows_frames_total", labels) == 4))
    assert len(await cam.outcomes()) == 3
    assert await cam.unfinished() == 0


async def test_a_rebooted_camera_begins_a_new_epoch_and_late_frames_of_the_old_one_still_count(
    camera: MakeCamera, dispatching: Start
) -> None:
    cam, rebooted = camera(epoch=7), camera(epoch=8)
    await cam.frames(3)
    late = cam.packet()
    await rebooted.frames(3)
    await cam.send(late)
    async with dispatching():
        await cam.ended(mask=7)
    assert await cam.ledger() == {"mask": 7}


async def test_an_epoch_before_the_last_four_boots_is_refused(camera: MakeCamera, dispatching: Start) -> None:
    old = camera(epoch=1)
    for epoch in (2, 3, 4, 5):
        await camera(epoch=epoch).frames(1)
    await old.frames(1)
    async with dispatching():
        await old.ended(mask=4, outside=1, **{"refused:stale_epoch": 1})
    *_, refusal = await old.outcomes()
    assert isinstance(refusal, Refusal)
    assert refusal.identity == FrameIdentity(1, 0)


async def test_a_jump_is_refused_once_and_believed_when_the_next_frame_confirms_it(
    camera: MakeCamera, dispatching: Start
) -> None:
    cam = camera()
    await cam.frames(2)
    cam.sequence += (1 << 20) + 5
    await cam.frames(3)
    async with dispatching():
        await cam.ended(mask=4, outside=1, **{"refused:sequence_jump": 1})
    assert "lost" not in await cam.ledger()


async def test_a_stream_is_held_to_its_bundle(camera: MakeCamera, dispatching: Start) -> None:
    cam = camera()
    await cam.settings(b'{"bundle": "00000000deadbeef"}')
    await cam.frames(1)
    async with dispatching():
        await cam.ended(refused=1, **{"refused:unknown_bundle": 1})


async def test_settings_that_cannot_be_read_change_nothing(camera: MakeCamera, dispatching: Start) -> None:
    cam = camera()
    await cam.settings(b"{]")
    await cam.frames(1)
    async with dispatching():
        await cam.ended(mask=1)


async def test_a_predicted_packet_against_another_reference_is_refused(camera: MakeCamera, dispatching: Start) -> None:
    cam = camera()
    first, second = cam.packet(), cam.predicted()
    await cam.send(first, replace(second, reference_digest=second.reference_digest ^ 1))
    async with dispatching():
        await cam.ended(mask=1, **{"refused:reference_lost": 1})


async def test_a_plane_of_another_shape_never_reaches_the_decoder(camera: MakeCamera, dispatching: Start) -> None:
    cam = camera()
    packet = cam.packet()
    small = cam.planes[0][:, :3, :4].copy()
    payload = encode_symbols(small, cam.bundle.tables, 0)
    await cam.send(replace(packet, shape=LatentShape(4, 3, 4), payload=payload))
    async with dispatching():
        await cam.ended(**{"refused:shape_mismatch": 1})


def _refused(dispatcher: Dispatcher, reason: str) -> float:
    labels = {"outcome": "refused", "reason": reason, "group": "default"}
    return metric(dispatcher, "narrows_frames_total", **labels)


async def _is(check: Callable[[], bool]) -> bool:
    return check()
