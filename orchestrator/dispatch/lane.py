"""One bundle's way through the decoder: frames of many streams share its batches."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import structlog
from numpy.typing import NDArray

from narrows.backoff import Backoff
from narrows.bundle import Bundle
from narrows.errors import InferenceFailed, ServiceError
from orchestrator.dispatch.clock import ServerClock
from orchestrator.dispatch.fairness import FairPicker, lone_frames
from orchestrator.dispatch.service_time import ServiceTime
from orchestrator.dispatch.settings import DispatchSettings
from orchestrator.dispatch.stream import Stream
from orchestrator.faults import Cause, Faults
from orchestrator.inference.contract import Decoder, Slot
from orchestrator.inference.load import LoadReading
from orchestrator.inference.triton_model import ModelMissing
from orchestrator.metrics import Metrics

_log = structlog.get_logger(__name__)
_FIRST_IN_FLIGHT = 2
_PAUSES_S = (0.05, 1.0)


class Meter(Protocol):
    """What reads the decoder's load."""

    def observe_offered(self, frames: int) -> None:
        """See :meth:`orchestrator.inference.LoadMeter.observe_offered`."""
        ...

    async def poll(self) -> LoadReading:
        """See :meth:`orchestrator.inference.LoadMeter.poll`."""
        ...


@dataclass(frozen=True, slots=True)
class Connected:
    """A decoder, how many batches it may have in flight, and who reads its load."""

    decoder: Decoder
    slots: int
    meter: Meter | None = None


Connect = Callable[[], Awaitable[Connected]]


@dataclass(frozen=True, slots=True)
class Inferred:
    """A frame's label map ``(H, W)`` uint8, and how long it waited for a batch and took in it."""

    labels: NDArray[np.uint8]
    batch_s: float
    infer_s: float


@dataclass(eq=False, slots=True)
class Waiting:
    """A frame that waits for a batch."""

    stream: Stream
    symbols: NDArray[np.int8]
    level: int
    stale_at_ms: float | None
    since_s: float
    answer: asyncio.Future[Inferred | None]
    tries: int = 0


class Lane:
    """Batches one bundle's frames into its decoder."""

    def __init__(
        self,
        bundle: Bundle,
        connect: Connect,
        clock: ServerClock,
        metrics: Metrics,
        settings: DispatchSettings,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.bundle = bundle
        self.ready = False
        self.connected: Connected | None = None
        self._connect = connect
        self._clock, self._metrics, self._settings, self._monotonic = clock, metrics, settings, monotonic
        self._faults = Faults(metrics)
        self._most = settings.max_batch
        self._in_flight = _FIRST_IN_FLIGHT  # one batch more than instances: the next is there when one is done
        self._picker: FairPicker[Waiting] = FairPicker()
        self._service = ServiceTime()
        self._changed = asyncio.Event()
        self._collecting = asyncio.Lock()

    async def labels(
        self, stream: Stream, symbols: NDArray[np.int8], level: int, stale_at_ms: float | None
    ) -> Inferred | None:
        """The label map of a frame; ``None`` if it became stale while it waited.

        Raises:
            InferenceFailed: the decoder failed this frame on every try.
        """
        answer: asyncio.Future[Inferred | None] = asyncio.get_running_loop().create_future()
        waiting = Waiting(stream, symbols, level, stale_at_ms, self._monotonic(), answer)
        self._picker.push(stream.id, stream.settings.weight, waiting)
        self._changed.set()
        return await answer

    async def run(self) -> None:
        """Connect, then batch after batch, for ever; frames wait while the decoder is away."""
        backoff = Backoff(*_PAUSES_S)
        while self.connected is None:
            try:
                self.connected = await self._connect()
            except ServiceError as error:
                await self._stay_away(error, backoff.next_delay_s())
        decoder = self.connected.decoder
        self._most = min(self._most, decoder.max_batch)
        async with asyncio.TaskGroup() as workers:
            for index in range(self.connected.slots):
                workers.create_task(self._work(decoder, index))

    async def look(self) -> LoadReading | None:
        """Ask the decoder whether it is ready, and its meter for a reading if it has one."""
        if self.connected is None:
            return None
        self.ready = await self.connected.decoder.ready()
        if not self.ready or self.connected.meter is None:
            return None
        reading = await self.connected.meter.poll()
        self._in_flight = max(1, reading.instances) + 1
        self._picker.lone = lone_frames(reading.cost_base_s, reading.cost_per_frame_s)
        self._changed.set()
        return reading

    def observe_offered(self) -> None:
        """One more frame wants this decoder, whatever becomes of it."""
        if self.connected is not None and self.connected.meter is not None:
            self.connected.meter.observe_offered(1)

    async def close(self) -> None:
        """Let the decoder go."""
        if self.connected is not None:
            await self.connected.decoder.close()

    async def _work(self, decoder: Decoder, index: int) -> None:
        backoff = Backoff(*_PAUSES_S)
        while True:
            await self._until_one_waits(index)
            try:
                async with decoder.slot() as slot:
                    await self._one_batch(slot)
                self.ready = True
                self._faults.end(Cause.TRITON_AWAY, Cause.TRITON_MODEL_MISSING)
                backoff.reset()
            except ServiceError as error:
                await self._stay_away(error, backoff.next_delay_s())

    async def _stay_away(self, error: ServiceError, pause_s: float) -> None:
        self.ready = False
        self._metrics.service_errors.labels("triton").inc()
        cause = Cause.TRITON_MODEL_MISSING if isinstance(error, ModelMissing) else Cause.TRITON_AWAY
        self._faults.begin(cause, f"bundle {self.bundle.hex_id} waits: {error}")
        self.drop_stale()
        await asyncio.sleep(pause_s)
        self.drop_stale()

    def drop_stale(self) -> None:
        """Answer those that cannot be done in time, and forget those whose shard is no longer ours."""
        now_ms, needed_ms = self._clock.now_ms(), self._service.expected_s * 1000
        for waiting in self._picker.take_out(lambda waiting: _unwanted(waiting, now_ms, needed_ms)):
            if not waiting.answer.done():
                waiting.answer.set_result(None)

    async def _one_batch(self, slot: Slot) -> None:
        async with self._collecting:
            self.drop_stale()
            batch = self._picker.pick(self._most)
        try:
            if batch:
                await self._infer(slot, [waiting for _, waiting in batch])
        except ServiceError:
            self._picker.put_back((name, waiting) for name, waiting in batch if not waiting.answer.done())
            raise
        finally:
            self._picker.done(name for name, _ in batch)
            self._changed.set()

    async def _until_one_waits(self, index: int) -> None:
        while index >= self._in_flight or not self._picker.ready:
            self._changed.clear()
            await self._changed.wait()

    async def _infer(self, slot: Slot, batch: list[Waiting]) -> None:
        try:
            await self._run(slot, batch)
        except InferenceFailed as failure:
            _log.warning("a batch failed", bundle=self.bundle.hex_id, frames=len(batch), error=str(failure))
            for waiting in batch:
                await self._alone(slot, waiting, failure)

    async def _alone(self, slot: Slot, waiting: Waiting, failure: InferenceFailed) -> None:
        while waiting.tries < self._settings.tries:
            try:
                return await self._run(slot, [waiting])
            except InferenceFailed as again:
                failure = again
        if not waiting.answer.done():
            waiting.answer.set_exception(InferenceFailed(f"{failure} ({waiting.tries} tries)"))
        return None

    async def _run(self, slot: Slot, batch: list[Waiting]) -> None:
        begun_s = self._monotonic()
        for i, waiting in enumerate(batch):
            slot.symbols[i] = waiting.symbols
            slot.levels[i, 0] = waiting.level
        try:
            labels = await slot.run(len(batch))
        except InferenceFailed:
            for waiting in batch:
                waiting.tries += 1
            raise
        infer_s = self._monotonic() - begun_s
        self._service.observe(infer_s)
        self._metrics.batch_size.observe(len(batch))
        for i, waiting in enumerate(batch):
            if not waiting.answer.done():
                waiting.answer.set_result(Inferred(labels[i].copy(), begun_s - waiting.since_s, infer_s))


def _unwanted(waiting: Waiting, now_ms: float, needed_ms: float) -> bool:
    """Whether a frame would be stale by the time its mask is there.

    A frame in the first half of its time is always tried, however slow the decoder was: else nothing would ever be
    decoded again to learn that it is faster now.
    """
    needed_ms = min(needed_ms, waiting.stream.settings.stale_ms / 2)
    stale = waiting.stale_at_ms is not None and now_ms + needed_ms > waiting.stale_at_ms
    return stale or waiting.stream.lease.lost or waiting.answer.done()
