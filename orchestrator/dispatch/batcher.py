"""One model's batches: frames of many streams share them. What becomes of one is in ``batch.py``."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Mapping

from narrows.contract.bundle import ServedModel
from narrows.contract.errors import ServiceError
from narrows.contract.records.report import ServerReport
from narrows.runtime.backoff import Backoff
from narrows.runtime.cancelling import cancel_all
from orchestrator.dispatch.batch import Answer, BatchRunner, Inferred, Waiting
from orchestrator.dispatch.connected import Connect, Connected
from orchestrator.dispatch.demand import Demand
from orchestrator.dispatch.fairness import FairPicker, lone_frames
from orchestrator.dispatch.outermost import Outermost
from orchestrator.dispatch.settings import DispatchSettings
from orchestrator.dispatch.stream import Stream
from orchestrator.inference.contract import Decoder, Inputs, ServerLost, Slot
from orchestrator.inference.load import LoadReading
from orchestrator.inference.triton_model import ModelMissing
from orchestrator.telemetry.faults import Cause, Faults
from orchestrator.telemetry.metrics import Metrics

_PAUSES_S = (0.05, 0.3)
_PAUSE_TO_LOOK = 19.0
"""Looking for stale frames takes a twentieth of the time."""


class Batcher:
    """Batches frames into one model: a bundle's decoder, or a tail.

    ::

        infer() ──► picker ─► a slot is free ─► batch ─► outputs
                      ▲                           │
                      └──── its server is gone ───┘

    How many batches are on their way is up to the decoder: each has a slot of it.

    Attributes:
        reading: the load as it was read last.
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
        self._connect = connect
        self._metrics, self._settings, self._monotonic = metrics, settings, monotonic
        self.demand = Demand(monotonic)
        self._faults, self._runner = Faults(metrics), BatchRunner(model.hex_id, settings.tries, metrics, monotonic)
        self._picker: FairPicker[Waiting] = FairPicker()
        self._changed = asyncio.Event()
        self._backoff = Backoff(*_PAUSES_S)
        self._look_again_s = -math.inf
        self._batches: set[asyncio.Task[None]] = set()
        self._trouble: ServiceError | None = None

    @property
    def wait_s(self) -> float:
        """How long frames waited for a batch of late."""
        return self._runner.wait_s

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
        swallows its cancellation cannot hold this up. An error that nobody foresaw costs them nothing: this is begun
        anew behind it, and frames of a batch that was cancelled would never be answered.
        """
        try:
            while True:
                try:
                    await self._feed()
                except ServiceError as error:
                    await self._stay_away(error)
        except asyncio.CancelledError:
            for batch in self._batches:
                batch.cancel()
            raise

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
        slot, batch = await decoder.lend(), list[tuple[str, Waiting]]()
        try:
            if self._monotonic() >= self._look_again_s:
                self.drop_stale()
            batch = self._picker.pick(min(self._settings.max_batch, *map(len, slot.inputs.values())), self._drop)
        finally:
            if not batch:
                decoder.give_back(slot)
        if batch:
            task = asyncio.create_task(self._one_batch(decoder, slot, batch))
            self._batches.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._batches.discard(task)
        self._changed.set()

    def _decoder(self) -> Decoder | None:
        return None if self.connected is None else self.connected.decoder

    async def _one_batch(self, decoder: Decoder, slot: Slot, batch: list[tuple[str, Waiting]]) -> None:
        frames, begun_s = [waiting for _, waiting in batch], self._monotonic()
        try:
            with Outermost(batch, self._failed):
                failure = await self._runner.run(decoder, slot, frames)
                if all(waiting.stream.floods for waiting in frames):
                    self._rest(self._monotonic() - begun_s)
                if failure is not None:
                    await self._runner.run_alone(frames, failure, self._decoder)
                self.ready = True
                self._faults.end(Cause.TRITON_AWAY, Cause.TRITON_MODEL_MISSING)
                self._backoff.reset()
        finally:
            self._picker.done(name for name, _ in batch)

    def _failed(self, batch: list[tuple[str, Waiting]], error: Exception) -> None:
        """Where there is nobody to decode its frames go on waiting; any other error is told to each of them."""
        if isinstance(error, ServiceError):
            self._picker.put_back((name, waiting) for name, waiting in batch if not waiting.done)
            if not isinstance(error, ServerLost):
                self._trouble = error
            return
        for _, waiting in batch:
            waiting.answer(error)

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
        now_s, needed_s = self._monotonic(), self._runner.service.expected_s
        for waiting in self._picker.take_out(lambda waiting: _unwanted(waiting, now_s, needed_s)):
            waiting.answer(None)
        ended_s = self._monotonic()
        self._look_again_s = ended_s + _PAUSE_TO_LOOK * (ended_s - now_s)

    def _drop(self, waiting: Waiting) -> bool:
        """Answer a frame that cannot be done in time; whether it was one."""
        if not _unwanted(waiting, self._monotonic(), self._runner.service.expected_s):
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


def _unwanted(waiting: Waiting, now_s: float, needed_s: float) -> bool:
    """Whether a frame would be stale by the time its mask is there.

    A frame in the first half of its time is always tried, however slow the decoder was: else nothing would ever be
    decoded again to learn that it is faster now.
    """
    needed_s = min(needed_s, waiting.stream.settings.stale_ms / 2000)
    stale = waiting.stale_at_s is not None and now_s + needed_s > waiting.stale_at_s
    return stale or waiting.stream.lease.lost or waiting.done
