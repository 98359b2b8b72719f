"""One model's batches: frames of many streams share them."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Protocol, Self

import numpy as np
import structlog
from msgspec import Struct, structs
from numpy.typing import NDArray

from narrows.contract.bundle import ServedModel
from narrows.contract.errors import InferenceFailed, ServiceError
from narrows.contract.records.report import ServerReport
from narrows.contract.wire.output_packet import OutputPacket
from narrows.runtime.backoff import Backoff
from narrows.runtime.cancelling import cancel_all
from orchestrator.dispatch.demand import Demand
from orchestrator.dispatch.fairness import FairPicker, lone_frames
from orchestrator.dispatch.further_outputs import FurtherOutputs, has_label_map
from orchestrator.dispatch.service_time import ServiceTime
from orchestrator.dispatch.settings import DispatchSettings
from orchestrator.dispatch.stream import Stream
from orchestrator.inference.contract import Decoder, Inputs, ServerLost, Slot
from orchestrator.inference.load import LoadReading
from orchestrator.inference.triton_model import ModelMissing
from orchestrator.telemetry.faults import Cause, Faults
from orchestrator.telemetry.metrics import Metrics

_log = structlog.get_logger(__name__)
_PAUSES_S = (0.05, 0.3)
_WAIT_GAIN = 0.1
_PAUSE_TO_LOOK = 19.0
"""Looking for stale frames takes a twentieth of the time."""


class Meter(Protocol):
    """What reads the decoder's load."""

    def observe_offered(self, frames: int) -> None:
        """See :meth:`orchestrator.inference.LoadMeter.observe_offered`."""
        ...

    async def poll(self) -> LoadReading:
        """See :meth:`orchestrator.inference.LoadMeter.poll`."""
        ...


def _no_servers() -> Mapping[str, ServerReport]:
    return {}


async def _no_heads() -> None:
    """Heads that never change."""


@dataclass(frozen=True, slots=True)
class Connected:
    """A decoder, who reads its load, how the servers behind it stand, by address, and who sees that heads changed."""

    decoder: Decoder
    meter: Meter | None = None
    servers: Callable[[], Mapping[str, ServerReport]] = _no_servers
    look_at_heads: Callable[[], Awaitable[None]] = _no_heads


Connect = Callable[[], Awaitable[Connected]]


class Inferred(Struct, frozen=True):
    """A frame's outputs, and how long it waited for a batch and took in it.

    Attributes:
        labels: the first output ``(H, W)``, where that is a label map.
        further: the other outputs, where they were asked for.
    """

    labels: NDArray[np.uint8] | None
    batch_s: float
    infer_s: float
    further: tuple[OutputPacket, ...] = ()

    def copied(self) -> Self:
        """With outputs of its own, for those in a slot are there only as long as the slot is held."""
        further = tuple(
            replace(each, value=replace(each.value, values=each.value.values.copy())) for each in self.further
        )
        labels = None if self.labels is None else self.labels.copy()
        return structs.replace(self, labels=labels, further=further)


Answer = Inferred | Exception | None
"""The outputs of a frame, as they lie in the slot; what failed; ``None`` for a frame that became stale."""


@dataclass(eq=False, slots=True)
class Waiting:
    """A frame that waits for a batch.

    Attributes:
        stream: whose frame it is.
        inputs: what the model takes of it.
        stale_at_s: when it is of no use any more, monotonic; ``None``: never.
        tell: is told the answer, once and while the batch holds its slot: it is short, and raises nothing.
        unwanted: whether nobody waits for the answer any more.
        further: whether the outputs after the first are wanted.
        since_s: since when it waits, monotonic.
        tries: how often it was in a batch that failed.
    """

    stream: Stream
    inputs: Inputs
    stale_at_s: float | None
    tell: Callable[[Answer], None]
    unwanted: Callable[[], bool]
    further: bool = True
    since_s: float = 0.0
    tries: int = 0
    told: bool = False

    @property
    def done(self) -> bool:
        """Whether nothing more is to be done for it."""
        return self.told or self.unwanted()

    def answer(self, answer: Answer) -> None:
        """Tell the answer, unless one was told before or nobody waits for it."""
        if not self.done:
            self.told = True
            self.tell(answer)


class Batcher:
    """Batches frames into one model: a bundle's decoder, or a tail.

    ::

        infer() ──► picker ─► a slot is free ─► batch ─► outputs
                      ▲                           │
                      └──── its server is gone ───┘

    How many batches are on their way is up to the decoder: each has a slot of it.

    Attributes:
        reading: the load as it was read last.
        wait_s: how long frames waited for a batch of late.
    """

    def __init__(
        self,
        model: ServedModel,
        connect: Connect,
        metrics: Metrics,
        settings: DispatchSettings,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.model = model
        self.ready = False
        self.connected: Connected | None = None
        self.reading: LoadReading | None = None
        self.wait_s = 0.0
        self._connect = connect
        self._metrics, self._settings, self._monotonic = metrics, settings, monotonic
        self.demand = Demand(monotonic)
        self._faults, self._further = Faults(metrics), FurtherOutputs(metrics)
        self._picker: FairPicker[Waiting] = FairPicker()
        self._service = ServiceTime()
        self._changed = asyncio.Event()
        self._backoff = Backoff(*_PAUSES_S)
        self._look_again_s = -math.inf
        self._batches: set[asyncio.Task[None]] = set()
        self._trouble: ServiceError | None = None

    @property
    def longest_wait_s(self) -> float:
        """How long the frame has waited for a batch that waits longest now; 0 where none waits."""
        since_s = min((waiting.since_s for waiting in self._picker.first_in_line()), default=math.inf)
        return max(0.0, self._monotonic() - since_s)

    def put(self, waiting: Waiting) -> None:
        """Have a frame wait for a batch, behind those of its stream."""
        waiting.since_s = self._monotonic()
        self._picker.push(waiting.stream.id, waiting.stream.settings.weight, waiting)
        self._changed.set()

    async def infer(
        self,
        stream: Stream,
        inputs: Inputs,
        stale_at_s: float | None,
        *,
        further: bool = True,
    ) -> Inferred | None:
        """A copy of the outputs of one frame, for who has time; ``None`` if it became stale. As :class:`Waiting`.

        Raises:
            InferenceFailed: the decoder failed this frame on every try.
        """
        answered: asyncio.Future[Inferred | None] = asyncio.get_running_loop().create_future()

        def tell(answer: Answer) -> None:
            if isinstance(answer, Exception):
                answered.set_exception(answer)
            else:
                answered.set_result(None if answer is None else answer.copied())

        self.put(Waiting(stream, inputs, stale_at_s, tell, answered.done, further))
        return await answered

    async def run(self) -> None:
        """Connect, then batch after batch, for ever; frames wait while the decoder is away.

        Batches that are under way when this is cancelled are cancelled too, and waited for in :meth:`close`: one that
        swallows its cancellation cannot hold this up.
        """
        try:
            while True:
                try:
                    await self._feed()
                except ServiceError as error:
                    await self._stay_away(error)
        finally:
            for batch in self._batches:
                batch.cancel()

    async def look(self) -> LoadReading | None:
        """See whether heads changed, whether the decoder is ready, and what its meter reads if it has one."""
        if self.connected is None:
            return None
        await self.connected.look_at_heads()
        self.ready = await self.connected.decoder.ready()
        if self.connected.meter is None:
            return None
        reading = self.reading = await self.connected.meter.poll()
        self._picker.lone = lone_frames(reading.cost_base_s, reading.cost_per_frame_s)
        self._changed.set()
        return reading

    def observe_offered(self, level: int) -> None:
        """One more frame of this rate level wants this decoder, whatever becomes of it."""
        self.demand.offered(level)
        if self.connected is not None and self.connected.meter is not None:
            self.connected.meter.observe_offered(1)

    def servers(self) -> Mapping[str, ServerReport]:
        """How the servers stand, by address."""
        return {} if self.connected is None else self.connected.servers()

    async def close(self) -> None:
        """Drop the batches that are under way and let the decoder go."""
        await cancel_all(self._batches)
        if self.connected is not None:
            await self.connected.decoder.close()

    async def _feed(self) -> None:
        """Begin batches as frames and slots are there. The first slot is asked for at once: so a fault shows early.

        Raises:
            ServiceError: there is nobody to decode.
        """
        if self.connected is None:
            self.connected = await self._connect()
        while True:
            self._raise_trouble()
            await self._begin_batch(self.connected.decoder)
            while not self._picker.ready:
                self._changed.clear()
                await self._changed.wait()
                self._raise_trouble()

    def _raise_trouble(self) -> None:
        if self._trouble is not None:
            trouble, self._trouble = self._trouble, None
            raise trouble

    async def _begin_batch(self, decoder: Decoder) -> None:
        async with AsyncExitStack() as lent:
            slot = await lent.enter_async_context(decoder.slot())
            if self._monotonic() >= self._look_again_s:
                self.drop_stale()
            batch = self._picker.pick(min(self._settings.max_batch, *map(len, slot.inputs.values())), self._drop)
            if batch:
                task = asyncio.create_task(self._one_batch(lent.pop_all(), slot, batch))
                self._batches.add(task)
                task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._batches.discard(task)
        self._changed.set()

    async def _one_batch(self, lent: AsyncExitStack, slot: Slot, batch: list[tuple[str, Waiting]]) -> None:
        frames, begun_s = [waiting for _, waiting in batch], self._monotonic()
        try:
            async with lent:
                failure = await self._together(slot, frames)
            if all(waiting.stream.floods for waiting in frames):
                self._rest(self._monotonic() - begun_s)
            if failure is not None:
                for waiting in frames:
                    await self._alone(waiting, failure)
        except ServiceError as error:
            self._picker.put_back((name, waiting) for name, waiting in batch if not waiting.done)
            if not isinstance(error, ServerLost):
                self._trouble = error
        except Exception as error:  # noqa: BLE001 - to each of its frames: other batches go on
            for waiting in frames:
                waiting.answer(error)
        else:
            self.ready = True
            self._faults.end(Cause.TRITON_AWAY, Cause.TRITON_MODEL_MISSING)
            self._backoff.reset()
        finally:
            self._picker.done(name for name, _ in batch)

    async def _stay_away(self, error: ServiceError) -> None:
        self.ready = False
        self._metrics.service_errors.labels("triton").inc()
        cause = Cause.TRITON_MODEL_MISSING if isinstance(error, ModelMissing) else Cause.TRITON_AWAY
        self._faults.begin(cause, f"bundle {self.model.hex_id} waits: {error}")
        self.drop_stale()
        await asyncio.sleep(self._backoff.next_delay_s())
        self.drop_stale()

    def drop_stale(self) -> None:
        """Answer those that cannot be done in time, and forget those whose shard is no longer ours.

        With thousands of streams that wait this is paced by what it takes; what is picked is looked at in any case.
        """
        now_s, needed_s = self._monotonic(), self._service.expected_s
        for waiting in self._picker.take_out(lambda waiting: _unwanted(waiting, now_s, needed_s)):
            waiting.answer(None)
        ended_s = self._monotonic()
        self._look_again_s = ended_s + _PAUSE_TO_LOOK * (ended_s - now_s)

    def _drop(self, waiting: Waiting) -> bool:
        """Answer a frame that cannot be done in time; whether it was one."""
        if not _unwanted(waiting, self._monotonic(), self._service.expected_s):
            return False
        waiting.answer(None)
        return True

    def _rest(self, length_s: float) -> None:
        """Half of what others leave is enough for who gets a fraction of its frames through in any case."""
        self._picker.resting = True
        asyncio.get_running_loop().call_later(length_s, self._end_rest)

    def _end_rest(self) -> None:
        self._picker.resting = False
        self._changed.set()

    async def _together(self, slot: Slot, batch: list[Waiting]) -> InferenceFailed | None:
        try:
            await self._run(slot, batch)
        except InferenceFailed as failure:
            _log.warning("batch_failed", bundle=self.model.hex_id, frames=len(batch), error=str(failure))
            return failure
        return None

    async def _alone(self, waiting: Waiting, failure: InferenceFailed) -> None:
        """Try a frame of a failed batch by itself, on whichever server is the best now: the fault may be either's."""
        while waiting.tries < self._settings.tries and self.connected is not None:
            try:
                async with self.connected.decoder.slot() as slot:
                    return await self._run(slot, [waiting])
            except InferenceFailed as again:
                failure = again
        waiting.answer(InferenceFailed(f"{failure} ({waiting.tries} tries)"))
        return None

    async def _run(self, slot: Slot, batch: list[Waiting]) -> None:
        begun_s = self._monotonic()
        for i, waiting in enumerate(batch):
            for name, values in waiting.inputs.items():
                slot.inputs[name][i] = values
        try:
            outputs = await slot.run(len(batch))
        except InferenceFailed:
            for waiting in batch:
                waiting.tries += 1
            raise
        infer_s = self._monotonic() - begun_s
        self._service.observe(infer_s)
        self._metrics.batch_size.observe(len(batch))
        for i, waiting in enumerate(batch):
            self.wait_s += _WAIT_GAIN * (begun_s - waiting.since_s - self.wait_s)
            further = self._further.of(slot.served, outputs, i) if waiting.further else ()
            labels = outputs[0][i] if has_label_map(slot.served) else None
            waiting.answer(Inferred(labels, begun_s - waiting.since_s, infer_s, further))


def _unwanted(waiting: Waiting, now_s: float, needed_s: float) -> bool:
    """Whether a frame would be stale by the time its mask is there.

    A frame in the first half of its time is always tried, however slow the decoder was: else nothing would ever be
    decoded again to learn that it is faster now.
    """
    needed_s = min(needed_s, waiting.stream.settings.stale_ms / 2000)
    stale = waiting.stale_at_s is not None and now_s + needed_s > waiting.stale_at_s
    return stale or waiting.stream.lease.lost or waiting.done
