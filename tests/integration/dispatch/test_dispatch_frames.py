"""Good frames: each ends in the mask of its symbols, in order, and the accounts agree."""

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from structlog.testing import capture_logs

from narrows.contract.codec import CodedPlane
from narrows.contract.errors import FrameRefused, ServiceError
from narrows.contract.wire import FrameIdentity, MaskPacket, Skip
from narrows.contract.wire.control import Control
from narrows.contract.wire.keys import INSTALL_KEY
from orchestrator.dispatch import Dispatcher, Store, frame_path
from orchestrator.dispatch.symbol_decoding import TimedPlane, decode_alone, decode_together
from tests.integration.dispatch.rig import (
    BOTH_READINGS,
    QUICK,
    SHARDS,
    MakeCamera,
    RuleDecoder,
    Start,
    metric,
    rule,
    until,
)


@BOTH_READINGS
async def test_every_frame_ends_in_the_mask_of_its_symbols_in_order(camera: MakeCamera, dispatching: Start) -> None:
    cam = camera()
    async with dispatching():
        await cam.frames(12)
        await cam.ended(mask=12)
    masks = await cam.outcomes()
    assert [mask.identity for mask in masks if isinstance(mask, MaskPacket)] == [FrameIdentity(7, n) for n in range(12)]
    for mask in masks:
        assert isinstance(mask, MaskPacket)
        np.testing.assert_array_equal(mask.labels, rule(cam.planes[mask.identity.sequence], 0))
        assert mask.areas.sum() == mask.labels.size
    assert await cam.ledger() == {"mask": 12}
    assert await cam.unfinished() == 0


async def test_large_frames_are_decoded_and_packed_beside_the_loop(
    camera: MakeCamera, dispatching: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.dispatch.workers._INLINE_SYMBOLS", 0)
    monkeypatch.setattr("orchestrator.dispatch.workers._INLINE_PIXELS", 0)
    cam = camera()
    async with dispatching():
        await cam.frames(12)
        await cam.ended(mask=12)
    for mask in await cam.outcomes():
        assert isinstance(mask, MaskPacket)
        np.testing.assert_array_equal(mask.labels, rule(cam.planes[mask.identity.sequence], 0))


async def test_frames_behind_one_that_is_waited_for_wait_and_other_streams_do_not(
    camera: MakeCamera, dispatching: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large K frame in its thread: the P frames of its stream are coded against it."""
    slow, quick = camera("slow"), camera("quick")
    packets = [slow.packet(), slow.predicted(), slow.predicted()]
    size, released = slow.planes[0].size, threading.Event()

    def held(plane: CodedPlane) -> TimedPlane:
        released.wait(20)
        return decode_alone(plane)

    monkeypatch.setattr("orchestrator.dispatch.workers._INLINE_SYMBOLS", size - 1)
    monkeypatch.setattr("orchestrator.dispatch.frame_decoder.decode_alone", held)
    await slow.send(*packets)
    async with dispatching() as dispatcher:
        await until(lambda: _holds(dispatcher, 3))
        monkeypatch.setattr("orchestrator.dispatch.workers._INLINE_SYMBOLS", size)
        await quick.frames(3)
        await quick.ended(mask=3)
        assert await slow.unfinished() == 3
        released.set()
        await slow.ended(mask=3)
    assert await slow.ledger() == {"mask": 3}


async def test_an_error_of_a_call_of_the_kernel_costs_its_frames_a_delivery_and_nothing_else(
    camera: MakeCamera, dispatching: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    cameras = [camera("cam-1"), camera("cam-3")]
    calls = list[int]()

    def fails_once(planes: Sequence[CodedPlane]) -> list[TimedPlane | FrameRefused]:
        calls.append(len(planes))
        if len(calls) == 1:
            raise ZeroDivisionError
        return decode_together(planes)

    monkeypatch.setattr(frame_path, "decode_together", fails_once)
    for cam in cameras:
        await cam.settings(b'{"policy": "complete"}')
    with capture_logs() as logs:
        async with dispatching(replace(QUICK, gap_s=600.0)) as dispatcher:
            for cam in cameras:
                await cam.frames(3)
            for cam in cameras:
                await cam.ended(mask=3)
            assert metric(dispatcher, "narrows_frame_crashes_total") == calls[0]
    assert [each["event"] for each in logs].count("frame_left_pending") == calls[0]


@BOTH_READINGS
async def test_predicted_frames_are_decoded_against_what_was_decoded_before(
    camera: MakeCamera, dispatching: Start
) -> None:
    cam = camera()
    await cam.send(cam.packet(), cam.predicted(), cam.predicted(), cam.predicted(distance=3))
    async with dispatching():
        await cam.ended(mask=4)
    for mask in await cam.outcomes():
        assert isinstance(mask, MaskPacket)
        np.testing.assert_array_equal(mask.labels, rule(cam.planes[mask.identity.sequence], 0))


async def test_a_predicted_frame_without_its_reference_is_refused_and_a_key_is_asked_for(
    camera: MakeCamera, dispatching: Start, store: Store
) -> None:
    cam = camera()
    cam.packet()
    await store.call("SET", cam.keys.control, Control(level=1).to_json())
    await cam.send(cam.predicted(), cam.packet())
    async with dispatching():
        await cam.ended(mask=1, **{"refused:reference_lost": 1})
        control = Control.parse(await store.call("GET", cam.keys.control))
        assert control == Control(level=1, key_request=1)
        assert 0 < await store.call("PTTL", cam.keys.control) <= 30_000


async def test_streams_share_batches_when_frames_wait(
    camera: MakeCamera, dispatching: Start, decoder: RuleDecoder
) -> None:
    cameras = [camera(f"cam-{n}") for n in range(6)]
    decoder.gate.clear()
    async with dispatching() as dispatcher:
        for cam in cameras:
            await cam.frames(4)
        await until(lambda: _holds(dispatcher, 24))
        await asyncio.sleep(0.1)  # what is held is decoded, and waits
        decoder.gate.set()
        for cam in cameras:
            await cam.ended(mask=4)
    assert max(decoder.batches) == decoder.max_batch


async def test_stale_realtime_frames_are_decoded_only_when_a_later_one_refers_to_them(
    camera: MakeCamera, dispatching: Start, decoder: RuleDecoder
) -> None:
    cam = camera()
    await cam.settings(b'{"stale_ms": 1}')
    await cam.send(cam.packet(), cam.predicted())
    await asyncio.sleep(0.05)
    async with dispatching() as dispatcher:
        await cam.ended(skipped=2, **{"skipped:stale": 2})
        assert dispatcher.metrics.registry.get_sample_value("narrows_stage_seconds_count", {"stage": "decode"}) is None
        await cam.settings(b'{"stale_ms": 60000}')
        await until(lambda: _stale_ms(dispatcher, "cam-1", 60_000))
        await cam.send(cam.predicted())
        await cam.ended(mask=1)
    first, second, third = await cam.outcomes()
    assert [first, second] == [Skip(FrameIdentity(7, sequence), "stale") for sequence in (0, 1)]
    assert isinstance(third, MaskPacket)
    np.testing.assert_array_equal(third.labels, rule(cam.planes[2], 0))
    assert sum(decoder.batches) == 1


async def test_a_complete_stream_is_never_skipped(camera: MakeCamera, dispatching: Start) -> None:
    cam = camera()
    await cam.settings(b'{"policy": "complete", "stale_ms": 1}')
    await cam.frames(5)
    await asyncio.sleep(0.05)
    async with dispatching():
        await cam.ended(mask=5)


async def test_a_sample_that_fails_is_refused_alone(
    camera: MakeCamera, dispatching: Start, decoder: RuleDecoder
) -> None:
    good, bad = camera("good"), camera("bad", epoch=8)
    bad_packet = bad.packet()
    marked = bad.planes[0]
    decoder.refuse = lambda symbols: bool((symbols == marked).all())
    decoder.gate.clear()
    async with dispatching() as dispatcher:
        await good.frames(3)
        await bad.send(bad_packet, bad.packet())
        decoder.gate.set()
        await good.ended(mask=3)
        await bad.ended(mask=1, **{"refused:inference": 1})
        assert _count(dispatcher, "narrows_dead_letters_total", reason="inference") == 1


async def test_frames_wait_for_a_decoder_that_is_away_and_no_try_is_spent(
    camera: MakeCamera, dispatching: Start, decoder: RuleDecoder
) -> None:
    cam = camera()
    await cam.settings(b'{"policy": "complete"}')
    decoder.away = True
    async with dispatching() as dispatcher:
        await cam.frames(3)
        await until(lambda: _service_errors(dispatcher, "triton", at_least=4))
        assert dispatcher.health.reasons_not_ready() == ["Triton: bundle 000000000000feed is not ready"]
        assert await cam.ledger() == {}
        decoder.away = False
        await cam.ended(mask=3)
        await until(lambda: _is_ready(dispatcher))


async def test_metrics_count_what_ended_and_what_waits(
    camera: MakeCamera, dispatching: Start, decoder: RuleDecoder
) -> None:
    cam = camera()
    await cam.settings(b'{"policy": "complete", "group": "north"}')
    decoder.gate.clear()
    async with dispatching() as dispatcher:
        await cam.frames(30)
        await until(lambda: _reads(dispatcher, "narrows_backlog_frames", 30))
        decoder.gate.set()
        await cam.ended(mask=30)
        await until(lambda: _reads(dispatcher, "narrows_backlog_frames", 0))
        assert _count(dispatcher, "narrows_frames_total", outcome="mask", reason="", group="north") == 30
        assert _count(dispatcher, "narrows_active_streams") == 1
        for stage in ("redis", "decode", "batch", "infer", "pack", "publish", "total"):
            assert _count(dispatcher, "narrows_stage_seconds_count", stage=stage) == 30


async def test_the_number_of_shards_is_fixed_at_install(store: Store) -> None:
    await Dispatcher.create(store, {}, QUICK, shards=SHARDS)
    again = await Dispatcher.create(store, {}, QUICK)
    assert again.health.shards_due == 1
    with pytest.raises(ServiceError, match="4 for good"):
        await Dispatcher.create(store, {}, QUICK, shards=SHARDS + 1)


async def test_an_install_record_of_another_program_is_named(store: Store) -> None:
    await store.call("SET", INSTALL_KEY, b"[]")
    with pytest.raises(ServiceError, match="another program's database"):
        await Dispatcher.create(store, {}, QUICK)


def _count(dispatcher: Dispatcher, name: str, **labels: str) -> float:
    return dispatcher.metrics.registry.get_sample_value(name, labels) or 0.0


async def _reads(dispatcher: Dispatcher, name: str, value: float) -> bool:
    return _count(dispatcher, name) == value


async def _service_errors(dispatcher: Dispatcher, service: str, *, at_least: int) -> bool:
    return _count(dispatcher, "narrows_service_errors_total", service=service) >= at_least


async def _is_ready(dispatcher: Dispatcher) -> bool:
    return not dispatcher.health.reasons_not_ready()


async def _holds(dispatcher: Dispatcher, frames: int) -> bool:
    return sum(shard.held for shard in dispatcher.shards.values()) == frames


async def _stale_ms(dispatcher: Dispatcher, stream: str, value: int) -> bool:
    streams = [found for shard in dispatcher.shards.values() for found in shard.streams.values() if found.id == stream]
    return bool(streams) and streams[0].settings.stale_ms == value
