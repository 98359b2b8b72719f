"""Audited frames: a camera's own mask held against the mask that its latent makes here.

::

    latent, label map ─┬─ the camera's mask ─► published at once
                       └─ symbols ─ batcher ─► the cloud's mask ─ divided as the camera's ─► pixels that differ

The comparison changes nothing for the frame: where Triton is away or late it is dropped, and counted as that.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial

import numpy as np
import structlog
from numpy.typing import NDArray

from narrows.contract.errors import FrameRefused
from narrows.contract.outputs.labels.scaling import divide_labels
from narrows.runtime.cancelling import cancel_all
from narrows.runtime.loop_guard import LoopGuard
from orchestrator.dispatch.batcher import Batcher
from orchestrator.dispatch.label_maps import CameraMask
from orchestrator.dispatch.latents import inputs_of
from orchestrator.dispatch.stream import Stream
from orchestrator.dispatch.workers import Workers
from orchestrator.telemetry.metrics import Metrics

_log = structlog.get_logger(__name__)
MOST_AUDITS = 64
"""Compared at once: several batches; symbols of more would be kept while Triton is away."""
MOST_OF_ONE = MOST_AUDITS // 8
"""Of one stream: a camera that has every frame audited leaves room for its neighbours' audits."""


@dataclass(frozen=True, slots=True)
class Audited:
    """A camera's mask, and the symbols ``(C, h, w)`` int8 of the same picture, of no use after ``until_s``."""

    mask: CameraMask
    symbols: NDArray[np.int8]
    level: int
    until_s: float


class Audits:
    """Compares beside the frames' way, a few at once."""

    def __init__(self, workers: Workers, metrics: Metrics) -> None:
        self._workers, self._metrics, self._guard = workers, metrics, LoopGuard(metrics.crashed)
        self._tasks: dict[asyncio.Task[None], Stream] = {}

    def begin(self, stream: Stream, batcher: Batcher, audited: Audited) -> None:
        """Compare when the cloud's mask is there."""
        of_one = sum(each is stream for each in self._tasks.values())
        if len(self._tasks) >= MOST_AUDITS or of_one >= MOST_OF_ONE:
            self._metrics.audits.labels(self._metrics.group(stream.settings.group), "dropped").inc()
            return
        task = asyncio.create_task(self._guarded(stream, batcher, audited))
        self._tasks[task] = stream
        task.add_done_callback(self._tasks.pop)

    async def close(self) -> None:
        """Drop what is under way."""
        await cancel_all(self._tasks)

    async def _guarded(self, stream: Stream, batcher: Batcher, audited: Audited) -> None:
        outcome, group = "dropped", self._metrics.group(stream.settings.group)
        with self._guard.one("audits", f"an audit of {stream.id}"):
            differing = await self._compare(stream, batcher, audited)
            if differing is not None:
                outcome = "compared"
                self._metrics.audited_pixels.labels(group, "no").inc(differing)
                self._metrics.audited_pixels.labels(group, "yes").inc(audited.mask.labels.size - differing)
        self._metrics.audits.labels(group, outcome).inc()

    async def _compare(self, stream: Stream, batcher: Batcher, audited: Audited) -> int | None:
        """Pixels that differ, of the camera's mask; ``None`` if the cloud's came too late, or there is none."""
        inputs = inputs_of(audited.symbols, audited.level)
        try:
            inferred = await batcher.infer(stream, inputs, audited.until_s, further=False)
        except FrameRefused as refusal:
            _log.debug("audit_dropped", stream=stream.id, reason=refusal.reason, detail=str(refusal))
            return None
        if inferred is None or inferred.labels is None:
            return None
        labels = inferred.labels
        return await self._workers.on_pixels(labels.size, partial(_differing, labels, audited.mask))


def _differing(labels: NDArray[np.uint8], mask: CameraMask) -> int:
    own = divide_labels(labels, mask.coded.divisor, mask.coded.labels)
    return int(np.count_nonzero(own != mask.labels))
