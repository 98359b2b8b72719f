"""Frames that never came: when a gap in a sequence is called lost, and when not."""

import asyncio

from orchestrator.dispatch import Store
from tests.integration.dispatch.rig import BOTH_READINGS, QUICK, MakeCamera, RuleDecoder, Start, holds, metric, until


async def test_trimmed_entries_do_not_stop_the_stream_and_are_counted_lost(
    camera: MakeCamera, dispatching: Start, store: Store
) -> None:
    cam = camera()
    await cam.frames(10)
    await cam.leave_pending()
    await store.call("XTRIM", cam.keys.features, "MAXLEN", 4)
    await cam.frames(2)
    async with dispatching():
        await cam.ended(mask=6, lost=6)


@BOTH_READINGS
async def test_gaps_are_lost_after_their_time_and_what_comes_late_is_not(
    camera: MakeCamera, dispatching: Start
) -> None:
    cam = camera()
    packets = [cam.packet() for _ in range(10)]
    late, never = packets[3], (packets[0], packets[6], packets[7])
    async with dispatching():
        await cam.send(*(each for each in packets if each is not late and each not in never))
        await cam.ended(mask=6)
        await cam.send(late)
        await cam.ended(mask=7, lost=3)
        await cam.send(packets[6])
        await cam.ended(mask=7, lost=3, duplicate=1)


async def test_gaps_that_a_predecessor_left_are_closed_by_its_successor(camera: MakeCamera, dispatching: Start) -> None:
    cam = camera()
    packets = [cam.packet() for _ in range(6)]
    async with dispatching():
        await cam.send(packets[0], packets[5])
        await cam.ended(mask=2)
    async with dispatching() as successor:
        await cam.ended(mask=2, lost=4)
        await until(lambda: holds(lambda: metric(successor, "narrows_lost_frames_total", group="default") == 4))


async def test_a_gap_beyond_the_window_is_lost_at_once(camera: MakeCamera, dispatching: Start) -> None:
    cam = camera()
    await cam.frames(1)
    cam.sequence += 3000
    await cam.frames(1)
    async with dispatching():
        await cam.ended(mask=2, lost=3000)


@BOTH_READINGS
async def test_what_waits_in_redis_is_not_called_lost_however_old(
    camera: MakeCamera, dispatching: Start, decoder: RuleDecoder
) -> None:
    cam = camera()
    await cam.settings(b'{"policy": "complete"}')
    decoder.gate.clear()
    async with dispatching():
        await cam.frames(2)
        await cam.send(b"no packet")
        await cam.frames(40)
        await asyncio.sleep(3 * QUICK.gap_s)
        decoder.gate.set()
        await cam.ended(mask=42, outside=1)
    assert "lost" not in await cam.ledger()
