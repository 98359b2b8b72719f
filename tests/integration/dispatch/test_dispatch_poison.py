"""A frame whose work ends its dispatcher three times is poison; nothing else is, and its neighbours go on."""

import asyncio

import pytest

from narrows.contract.wire import FrameIdentity, Refusal
from narrows.contract.wire.keys import GROUP
from narrows.runtime.redis.store import ReplyRefused
from orchestrator.dispatch import Store
from orchestrator.dispatch.frame_decoder import Admitted
from orchestrator.dispatch.stream import Frame
from orchestrator.dispatch.workers import Workers
from tests.integration.dispatch.rig import MakeCamera, RuleDecoder, Start, holds, metric, until


async def test_an_entry_taken_up_three_times_without_an_end_is_poison_and_its_neighbours_are_not(
    camera: MakeCamera, dispatching: Start
) -> None:
    cam = camera()
    first, poison, last = await cam.send(cam.packet(), cam.packet(), cam.packet())
    await cam.leave_pending(poison, deliveries=3)
    async with dispatching():
        await cam.ended(mask=2, **{"refused:poison": 1})
    refusals = [each for each in await cam.outcomes() if isinstance(each, Refusal)]
    assert [each.identity for each in refusals] == [FrameIdentity(7, 1)]
    (letter,) = await cam.dead()
    assert letter[b"deliveries"] == b"4"
    assert letter[b"entry"] == poison
    assert first < poison < last


async def test_waiting_while_dispatchers_die_is_held_against_no_frame(
    camera: MakeCamera, dispatching: Start, dying: Start, decoder: RuleDecoder, store: Store
) -> None:
    cam = camera()
    await cam.settings(b'{"policy": "complete"}')
    await cam.frames(6)
    decoder.away = True
    for _ in range(5):
        async with dying() as dispatcher:
            batcher = next(iter(dispatcher.batchers.values()))
            await until(lambda batcher=batcher: holds(lambda: len(batcher._picker) == 6))  # type: ignore[misc]
    pending = await store.pending([cam.keys.features], GROUP, idle_ms=[0], count=10)
    assert not isinstance(pending[0], ReplyRefused)
    assert [entry.deliveries for entry in pending[0]] == [1] * 6
    decoder.away = False
    async with dispatching():
        await cam.ended(mask=6)
    assert await cam.ledger() == {"mask": 6}


async def test_a_frame_that_kills_whoever_packs_its_mask_is_poison(
    camera: MakeCamera, dispatching: Start, dying: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    cam, packs = camera(), list[int]()
    await cam.settings(b'{"policy": "complete"}')
    (entry,) = await cam.send(cam.packet())
    await cam.leave_pending(entry)  # who took it up first died of it

    async def never_ends(_workers: Workers, pixels: int, _work: object) -> None:
        packs.append(pixels)
        await asyncio.Event().wait()

    with monkeypatch.context() as patched:
        patched.setattr(Workers, "on_pixels", never_ends)
        for deaths in (1, 2):
            async with dying():
                await until(lambda deaths=deaths: holds(lambda: len(packs) == deaths))  # type: ignore[misc]
    async with dispatching():
        await cam.ended(refused=1, **{"refused:poison": 1})


async def test_a_frame_that_crashes_its_handler_is_poison_after_three_tries_and_its_neighbours_go_on(
    camera: MakeCamera, dispatching: Start
) -> None:
    cam, neighbour = camera("cam"), camera("neighbour", epoch=9)
    crashes: list[int] = []
    async with dispatching() as dispatcher:
        admit = dispatcher._path._decoder.admit

        def crash(frame: Frame) -> Admitted:
            if frame.stream.id == "cam" and frame.deliveries <= 3:
                crashes.append(frame.deliveries)
                raise ZeroDivisionError
            return admit(frame)

        dispatcher._path._decoder.admit = crash  # type: ignore[method-assign]
        await cam.frames(1)
        await neighbour.frames(5)
        await neighbour.ended(mask=5)
        await cam.ended(refused=1, **{"refused:poison": 1})
        assert crashes == [1, 2, 3]
        assert metric(dispatcher, "narrows_frame_crashes_total") == 3
