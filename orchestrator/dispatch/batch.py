"""The life of a batch, top to bottom, from the frames that were picked for it to their answers.

::

    frames ─ fill ─► slot ─ infer ─┬─► outputs ─► each frame's answer, while the slot is held
                                   ├─ failed ─► each frame alone, in a slot of whichever server is the best by then
                                   └─ its server is gone ─► raised: the batcher puts the frames back where they waited

Which frames are picked, and when, is in ``batcher.py``; what a frame does with its answer in ``frame_path.py``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import structlog
from msgspec import Struct, structs
from numpy.typing import NDArray

from narrows.contract.errors import InferenceFailed
from narrows.contract.wire.output_packet import OutputPacket
from orchestrator.dispatch.further_outputs import FurtherOutputs, has_label_map
from orchestrator.dispatch.service_time import ServiceTime
from orchestrator.dispatch.stream import Stream
from orchestrator.inference.contract import Batch, Decoder, Inputs, Slot, lent
from orchestrator.telemetry.metrics import Metrics

_log = structlog.get_logger(__name__)
_WAIT_GAIN = 0.1


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


class BatchRunner:
    """Runs batches of one model.

    Attributes:
        service: how long a batch takes.
        wait_s: how long frames waited for a batch of late.
    """

    def __init__(
        self, model: str, tries: int, metrics: Metrics, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """``tries``: how often a frame is in a batch that fails."""
        self.service = ServiceTime()
        self.wait_s = 0.0
        self._model, self._tries, self._metrics, self._monotonic = model, tries, metrics, monotonic
        self._further = FurtherOutputs(metrics)

    async def run(self, decoder: Decoder, slot: Slot, frames: Sequence[Waiting]) -> InferenceFailed | None:
        """Have frames answered together, and give the decoder its slot back; answers why not, if this batch failed.

        Raises:
            ServiceError: the server is gone, or all are; the frames that have no answer are innocent.
        """
        try:
            await self._run(slot, frames)
        except InferenceFailed as failure:
            _log.warning("batch_failed", bundle=self._model, frames=len(frames), error=str(failure))
            return failure
        finally:
            decoder.give_back(slot)
        return None

    async def run_alone(
        self, frames: Sequence[Waiting], failure: InferenceFailed, decoder: Callable[[], Decoder | None]
    ) -> None:
        """Try each frame of a failed batch by itself, on whichever server is the best now: the fault may be either's.

        Raises:
            ServiceError: as :meth:`run`.
        """
        for waiting in frames:
            await self._run_alone(waiting, failure, decoder)

    async def _run_alone(
        self, waiting: Waiting, failure: InferenceFailed, decoder: Callable[[], Decoder | None]
    ) -> None:
        while waiting.tries < self._tries and (best := decoder()) is not None:
            try:
                async with lent(best) as slot:
                    return await self._run(slot, [waiting])
            except InferenceFailed as again:
                failure = again
        waiting.answer(InferenceFailed(f"{failure} ({waiting.tries} tries)"))
        return None

    async def _run(self, slot: Slot, frames: Sequence[Waiting]) -> None:
        begun_s = self._monotonic()
        _fill(slot, frames)
        try:
            outputs = await slot.run(len(frames))
        except InferenceFailed:
            for waiting in frames:
                waiting.tries += 1
            raise
        infer_s = self._monotonic() - begun_s
        self.service.observe(infer_s)
        self._metrics.batch_size.observe(len(frames))
        for i, waiting in enumerate(frames):
            waited_s = begun_s - waiting.since_s
            self.wait_s += _WAIT_GAIN * (waited_s - self.wait_s)
            waiting.answer(self._inferred(slot, outputs, i, waiting, waited_s, infer_s))

    def _inferred(
        self, slot: Slot, outputs: Batch, i: int, waiting: Waiting, waited_s: float, infer_s: float
    ) -> Inferred:
        further = self._further.of(slot.served, outputs, i) if waiting.further else ()
        labels = outputs[0][i] if has_label_map(slot.served) else None
        return Inferred(labels, waited_s, infer_s, further)


def _fill(slot: Slot, frames: Sequence[Waiting]) -> None:
    for i, waiting in enumerate(frames):
        for name, values in waiting.inputs.items():
            slot.inputs[name][i] = values
