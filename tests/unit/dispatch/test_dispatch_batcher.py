"""Batching and staleness of a batcher, with clocks that the test turns."""

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import cast

import numpy as np
import pytest

from narrows.contract.bundle import Bundle
from narrows.contract.errors import InferenceFailed, ServiceError
from narrows.contract.outputs import Output
from narrows.contract.wire import StreamKeys, StreamSettings
from narrows.runtime.loop_guard import LoopGuard
from orchestrator.dispatch.batch import Answer, Inferred, Waiting
from orchestrator.dispatch.batcher import Batcher
from orchestrator.dispatch.connected import Connected
from orchestrator.dispatch.further_outputs import FurtherOutputs
from orchestrator.dispatch.latents import inputs_of
from orchestrator.dispatch.lease import Lease
from orchestrator.dispatch.reference_cache import ReferenceCache
from orchestrator.dispatch.settings import DispatchSettings
from orchestrator.dispatch.stream import Stream
from orchestrator.inference.contract import Batch, Inputs, ServedOutput, ServerLost, Slot
from orchestrator.telemetry.metrics import Metrics

PLANE = np.ones((1, 2, 2), np.int8)


class TurnedClock:
    """A monotonic clock that stands where the test puts it."""

    present_s = 1.0

    def __call__(self) -> float:
        return self.present_s


class Echo:
    """A decoder whose label maps are the symbols."""

    max_batch = 4
    served: tuple[ServedOutput, ...] = ()

    def __init__(self, failures: int = 0, clock: TurnedClock | None = None, takes_s: float = 0.0) -> None:
        self.clock, self.takes_s = clock, takes_s
        self.symbols = np.zeros((self.max_batch, 1, 2, 2), np.int8)
        self.inputs: Inputs = {"symbols": self.symbols, "level": np.zeros((self.max_batch, 1), np.int32)}
        self.failures = failures
        self.batches: list[int] = []
        self.troubles: list[Exception] = []
        self.lent = 0

    async def lend(self) -> "Echo":
        self.lent += 1
        return self

    def give_back(self, slot: Slot) -> None:
        assert slot is self
        self.lent -= 1

    async def run(self, n: int) -> Batch:
        self.batches.append(n)
        if self.troubles:
            raise self.troubles.pop(0)
        if self.failures:
            self.failures -= 1
            raise InferenceFailed("not this time")
        if self.clock is not None:
            self.clock.present_s += self.takes_s
        return (self.symbols[:n, 0].astype(np.uint8),)

    async def ready(self) -> bool:
        return True

    async def close(self) -> None:
        return None


class Headed(Echo):
    """With a head whose score is a thousandth of the first symbol, and of a negative one no number."""

    served = (
        ServedOutput(Output("labels", "labels", "uint8", (2, 2), "row-xor-deflate", ("a", "b")), "00"),
        ServedOutput(Output("scene", "scores", "float32", (1,), "raw"), "01"),
        ServedOutput(Output("seen", "scores", "float32", (1,), "raw"), "02"),
    )

    async def run(self, n: int) -> Batch:
        (labels,) = await super().run(n)
        first = self.symbols[:n, 0, :1, 0].astype(np.float32)
        return labels, np.where(first < 0, np.nan, first / 1000).astype(np.float32), first


def _stream(name: str) -> Stream:
    return Stream(StreamKeys(name, 0), Lease(0, "1", 0.0), ReferenceCache(1), StreamSettings())


class _NamedBundle:
    hex_id = "00"


@asynccontextmanager
async def _batcher(decoder: Echo, clock: TurnedClock) -> AsyncIterator[Batcher]:
    async def connect() -> Connected:
        return Connected(decoder)

    chosen = DispatchSettings(max_batch=4)
    batcher = Batcher(cast("Bundle", _NamedBundle()), connect, Metrics(), chosen, clock)
    running = asyncio.create_task(batcher.run())
    try:
        yield batcher
    finally:
        running.cancel()


async def test_a_frame_that_became_stale_while_it_waited_is_not_decoded() -> None:
    decoder, clock = Echo(), TurnedClock()
    async with _batcher(decoder, clock) as batcher:
        waiting = asyncio.ensure_future(batcher.infer(_stream("a"), inputs_of(PLANE, 0), stale_at_s=1.5))
        clock.present_s = 1.501
        assert await waiting is None
    assert decoder.batches == []


async def test_the_longest_wait_is_that_of_the_frame_that_came_first_and_nothing_once_none_waits() -> None:
    clock = TurnedClock()

    async def connect() -> Connected:
        return Connected(Echo())

    batcher = Batcher(cast("Bundle", _NamedBundle()), connect, Metrics(), DispatchSettings(max_batch=4), clock)
    assert batcher.longest_wait_s == 0.0
    began_s = clock()
    asked = [asyncio.ensure_future(batcher.infer(_stream("a"), inputs_of(PLANE, 0), stale_at_s=None))]
    await asyncio.sleep(0)
    clock.present_s = began_s + 1.0
    asked.append(asyncio.ensure_future(batcher.infer(_stream("b"), inputs_of(PLANE, 0), stale_at_s=None)))
    await asyncio.sleep(0)
    clock.present_s = began_s + 1.5
    assert batcher.longest_wait_s == 1.5
    running = asyncio.create_task(batcher.run())
    await asyncio.gather(*asked)
    assert batcher.longest_wait_s == 0.0
    running.cancel()


async def test_a_stale_frame_gets_into_no_batch_though_it_was_not_looked_for() -> None:
    """With thousands of lines stale frames are looked for now and then."""
    decoder, clock = Echo(), TurnedClock()
    async with _batcher(decoder, clock) as batcher:
        batcher._look_again_s = math.inf
        stale = asyncio.ensure_future(batcher.infer(_stream("a"), inputs_of(PLANE, 0), stale_at_s=1.5))
        fresh = asyncio.ensure_future(batcher.infer(_stream("b"), inputs_of(PLANE, 0), stale_at_s=None))
        clock.present_s = 1.501
        assert await stale is None
        assert await fresh is not None
    assert decoder.batches == [1]


async def test_a_look_for_stale_frames_is_followed_by_the_next_after_nineteen_times_as_long() -> None:
    decoder, clock = Echo(), TurnedClock()
    async with _batcher(decoder, clock) as batcher:
        take_out = batcher._picker.take_out

        def slow(unwanted: Callable[[Waiting], bool]) -> list[Waiting]:
            clock.present_s += 0.01
            return take_out(unwanted)

        batcher._picker.take_out = slow  # type: ignore[method-assign]
        batcher.drop_stale()
        assert batcher._look_again_s == pytest.approx(clock.present_s + 0.19)


async def test_a_frame_that_never_becomes_stale_is_decoded_however_late() -> None:
    decoder, clock = Echo(), TurnedClock()
    clock.present_s = 1e9
    async with _batcher(decoder, clock) as batcher:
        inferred = await batcher.infer(_stream("a"), inputs_of(PLANE, 0), stale_at_s=None)
    assert inferred is not None
    np.testing.assert_array_equal(inferred.labels, PLANE[0])


async def test_frames_of_several_streams_that_wait_share_a_batch_up_to_its_limit() -> None:
    decoder = Echo()
    async with _batcher(decoder, TurnedClock()) as batcher:
        await asyncio.gather(*(batcher.infer(_stream(f"s{n}"), inputs_of(PLANE * n, 0), None) for n in range(6)))
    assert sorted(decoder.batches) == [2, 4]


async def test_a_failed_batch_is_tried_again_one_by_one() -> None:
    decoder = Echo(failures=1)
    async with _batcher(decoder, TurnedClock()) as batcher:
        answers = await asyncio.gather(*(batcher.infer(_stream(f"s{n}"), inputs_of(PLANE, 0), None) for n in range(3)))
    assert all(answers)
    assert decoder.batches == [3, 1, 1, 1]


async def test_an_answer_is_told_while_its_batch_holds_the_slot_and_only_to_who_still_waits() -> None:
    """Outputs lie in the slot, and the next batch is written over them."""

    class Reusing(Echo):
        outputs = np.zeros((4, 2, 2), np.uint8)

        async def run(self, n: int) -> Batch:
            (labels,) = await super().run(n)
            self.outputs[:n] = labels
            return (self.outputs[:n],)

    told: list[int] = []
    everybody = asyncio.Event()

    def tell(answer: Answer) -> None:
        assert isinstance(answer, Inferred)
        assert answer.labels is not None
        assert answer.labels.base is not None
        told.append(int(answer.labels[0, 0]))
        if len(told) == 5:
            everybody.set()

    async with _batcher(Reusing(), TurnedClock()) as batcher:
        for n in range(6):
            batcher.put(Waiting(_stream(f"s{n}"), inputs_of(PLANE * n, 0), None, tell, lambda n=n: n == 2))  # type: ignore[misc]
        copied = await batcher.infer(_stream("s6"), inputs_of(PLANE * 6, 0), None)
        await everybody.wait()
        assert await batcher.infer(_stream("s7"), inputs_of(PLANE * 7, 0), None) is not None
    assert sorted(told) == [0, 1, 3, 4, 5]
    assert copied is not None
    assert copied.labels is not None
    assert copied.labels[0, 0] == 6
    assert copied.labels.base is None


async def test_every_slot_is_given_back_however_its_batch_ends() -> None:
    decoder, clock = Echo(failures=1), TurnedClock()
    decoder.troubles = [ServerLost("gone"), ServiceError("away"), ValueError("unforeseen")]
    async with _batcher(decoder, clock) as batcher:
        assert isinstance(await _outcome(batcher.infer(_stream("a"), inputs_of(PLANE, 0), None)), ValueError)
        for _ in range(2):  # the first fails as a batch, and is tried alone
            assert await batcher.infer(_stream("a"), inputs_of(PLANE, 0), None) is not None
        for _ in range(3):
            assert await batcher.infer(_stream("b"), inputs_of(PLANE, 0), stale_at_s=0.5) is None
        assert decoder.lent <= 1  # the one that waits for frames
        away = batcher._metrics.registry.get_sample_value("narrows_service_errors_total", {"service": "triton"})
        assert away == 1  # a server that is lost while others may be there is none
    assert decoder.batches == [1, 1, 1, 1, 1, 1]


async def _outcome(answer: Awaitable[Inferred | None]) -> Inferred | Exception | None:
    try:
        return await answer
    except (ValueError, InferenceFailed) as error:
        return error


async def test_a_frame_that_fails_three_times_is_given_up() -> None:
    decoder = Echo(failures=3)
    async with _batcher(decoder, TurnedClock()) as batcher:
        with pytest.raises(InferenceFailed, match="3 tries"):
            await batcher.infer(_stream("a"), inputs_of(PLANE, 0), None)
        assert await batcher.infer(_stream("a"), inputs_of(PLANE, 0), None) is not None
    assert decoder.batches == [1, 1, 1, 1]


async def test_a_frame_that_cannot_be_done_in_time_is_not_begun() -> None:
    clock = TurnedClock()
    decoder = Echo(clock=clock, takes_s=0.1)
    async with _batcher(decoder, clock) as batcher:
        assert await batcher.infer(_stream("a"), inputs_of(PLANE, 0), stale_at_s=None) is not None
        now_s = clock()
        assert await batcher.infer(_stream("a"), inputs_of(PLANE, 0), stale_at_s=now_s + 0.099) is None
        assert await batcher.infer(_stream("a"), inputs_of(PLANE, 0), stale_at_s=now_s + 0.201) is not None


async def test_a_slow_decoder_still_gets_young_frames() -> None:
    clock = TurnedClock()
    decoder = Echo(clock=clock, takes_s=10.0)
    async with _batcher(decoder, clock) as batcher:
        for _ in range(3):
            stale_at_s = clock() + 0.4  # of 500
            assert await batcher.infer(_stream("a"), inputs_of(PLANE, 0), stale_at_s) is not None


async def test_a_flood_rests_as_long_as_its_batch_took_and_others_go_meanwhile() -> None:
    clock = TurnedClock()
    decoder = Echo(clock=clock, takes_s=60.0)
    flood, quiet = _stream("flood"), _stream("quiet")
    flood.skipped_share = 1.0
    async with _batcher(decoder, clock) as batcher:
        await batcher.infer(quiet, inputs_of(PLANE, 0), None)
        first, *more = [asyncio.ensure_future(batcher.infer(flood, inputs_of(PLANE, 0), None)) for _ in range(4)]
        await first
        for _ in range(50):
            await asyncio.sleep(0)
        assert not any(answer.done() for answer in more)
        assert await batcher.infer(quiet, inputs_of(PLANE, 0), None) is not None
        for answer in more:
            answer.cancel()


async def test_a_batch_whose_server_is_lost_goes_again_at_once_and_counts_as_no_try() -> None:
    decoder = Echo()
    decoder.troubles = [ServerLost("it died")] * 5
    async with _batcher(decoder, TurnedClock()) as batcher:
        assert await batcher.infer(_stream("a"), inputs_of(PLANE, 0), None) is not None
        assert batcher.ready
    assert decoder.batches == [1] * 6


async def test_frames_wait_in_their_order_while_the_decoder_is_away() -> None:
    decoder = Echo()
    decoder.troubles = [ServiceError("away"), ServiceError("away")]
    stream = _stream("a")
    async with _batcher(decoder, TurnedClock()) as batcher:
        answers = await asyncio.gather(*(batcher.infer(stream, inputs_of(PLANE * n, 0), None) for n in range(4)))
    labels = [answer.labels for answer in answers if answer and answer.labels is not None]
    assert [int(each[0, 0]) for each in labels] == [0, 1, 2, 3]


class Stubborn(Echo):
    """A decoder whose batches swallow a cancellation, as libraries do that meet a time-out at the same moment."""

    def __init__(self, swallow: int) -> None:
        super().__init__()
        self.swallow = swallow
        self.begun = asyncio.Event()

    async def run(self, n: int) -> Batch:
        self.begun.set()
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                self.swallow -= 1
                if self.swallow < 0:
                    raise


async def test_a_batch_that_swallows_cancellations_holds_neither_the_batcher_nor_its_closing_up() -> None:
    decoder = Stubborn(swallow=3)

    async def connect() -> Connected:
        return Connected(decoder)

    batcher = Batcher(cast("Bundle", _NamedBundle()), connect, Metrics(), DispatchSettings(max_batch=4))
    running = asyncio.create_task(batcher.run())
    waiting = asyncio.create_task(batcher.infer(_stream("a"), inputs_of(PLANE, 0), None))
    await decoder.begun.wait()
    running.cancel()
    done, _ = await asyncio.wait([running], timeout=20)
    assert done
    closing = asyncio.create_task(batcher.close())
    done, _ = await asyncio.wait([closing], timeout=20)
    assert done
    assert decoder.swallow < 0
    waiting.cancel()


class Crashing(Echo):
    """Its first batch waits for ``gate``, and whoever asks for another slot meanwhile crashes once."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.crashed = asyncio.Event(), asyncio.Event()

    async def lend(self) -> Echo:
        if self.lent and not self.crashed.is_set():
            self.crashed.set()
            raise ZeroDivisionError
        return await super().lend()

    async def run(self, n: int) -> Batch:
        await self.gate.wait()
        return await super().run(n)


async def test_a_crash_of_the_loop_that_begins_batches_costs_no_batch_that_is_under_way() -> None:
    decoder = Crashing()

    async def connect() -> Connected:
        return Connected(decoder)

    batcher = Batcher(cast("Bundle", _NamedBundle()), connect, Metrics(), DispatchSettings(max_batch=4))
    running = asyncio.create_task(LoopGuard().keep("batches", batcher.run))
    answers = [asyncio.create_task(batcher.infer(_stream(name), inputs_of(PLANE, 0), None)) for name in "abcdef"]
    try:
        async with asyncio.timeout(20):
            await decoder.crashed.wait()
            decoder.gate.set()
            assert None not in await asyncio.gather(*answers)
        assert decoder.lent == 0
    finally:
        running.cancel()
        await batcher.close()


async def test_an_output_that_cannot_be_costs_itself_and_neither_its_frame_nor_its_neighbours() -> None:
    decoder = Headed()
    async with _batcher(decoder, TurnedClock()) as batcher:
        planes = [PLANE, -PLANE, PLANE]
        found = await asyncio.gather(
            *(
                batcher.infer(_stream(name), inputs_of(plane, 0), None)
                for name, plane in zip("abc", planes, strict=True)
            )
        )
    assert sum(decoder.batches) == 3
    assert [[each.value.output.name for each in inferred.further] for inferred in found if inferred is not None] == [
        ["scene", "seen"],
        ["seen"],
        ["scene", "seen"],
    ]
    dropped = batcher._metrics.registry.get_sample_value("narrows_outputs_dropped_total", {"output": "scene"})
    assert dropped == 1


def test_what_came_in_another_form_or_redis_does_not_take_is_left_out_and_counted_by_name() -> None:
    metrics = Metrics()
    further, labels = FurtherOutputs(metrics), np.zeros((2, 2, 2), np.uint8)
    nothing, seen = np.empty((0, 1), np.float32), np.ones((2, 1), np.float32)
    found = [further.of(Headed.served, (labels, nothing, seen), i) for i in range(2)]
    assert [[each.value.output.name for each in outputs] for outputs in found] == [["seen"], ["seen"]]
    further.left_out([(b"o:seen", b"too much")], "too large")
    read = metrics.registry.get_sample_value
    assert read("narrows_outputs_dropped_total", {"output": "scene"}) == 2
    assert read("narrows_outputs_dropped_total", {"output": "seen"}) == 1
