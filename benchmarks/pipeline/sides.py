"""One round of each question: the same work straight at Triton and through the whole path."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.pipeline.fleet import Fleet
from benchmarks.pipeline.packets import Packets
from benchmarks.pipeline.schedule import Arrival
from benchmarks.pipeline.stack import MAX_BATCH, Stack, mean_batch, stage_means_ms
from benchmarks.pipeline.statistics_of import percentile_ms, steady_rate
from benchmarks.pipeline.straight import IN_FLIGHT, closed_loop, open_loop
from narrows.contract.errors import ServiceError
from orchestrator.dispatch import Store
from orchestrator.inference import TritonDecoder

STREAMS = 16
LOAD = 0.7


@dataclass(frozen=True)
class Sides:
    """The two sides, over one Triton and one Redis."""

    stack: Stack
    decoder: TritonDecoder
    fleet: Fleet
    packets: Packets

    def fed(self, packets: Packets) -> Sides:
        """The same parts, fed with other packets from now on."""
        self.fleet.packets = packets
        return replace(self, packets=packets)

    async def straight_throughput(self, frames: int) -> dict[str, float]:
        """Back-to-back batches straight at Triton."""
        before = self.stack.processor_time()
        ended_s = await closed_loop(self.decoder, self.packets, MAX_BATCH, frames)
        used = self.stack.processor_time().since(before)
        return {"frames_per_s": steady_rate(ended_s), "cpu_ms_triton": 1000 * used.triton_s / len(ended_s)}

    async def path_throughput(self, frames: int) -> dict[str, Any]:
        """The same frames waiting in Redis, until the last mask is there."""
        self.fleet.epoch += 1
        before, metrics = self.stack.processor_time(), self.stack.metrics()
        began_s = await self.fleet.preload(frames)
        await self.fleet.drained()
        used, after = self.stack.processor_time().since(before), self.stack.metrics()
        ended_s = list((await self._masks(frames)).values())
        return {
            "frames_per_s": steady_rate(ended_s),
            "whole_frames_per_s": frames / (max(ended_s) - began_s),
            "mean_batch": mean_batch(metrics, after),
            "cpu_ms_outside_triton": 1000 * used.outside_triton_s / frames,
            "cpu_ms": used.per_frame_ms(frames),
            "stages_ms": stage_means_ms(metrics, after),
        }

    async def straight_latency(self, arrivals: Sequence[Arrival]) -> dict[str, float]:
        """Open-loop arrivals straight at Triton."""
        latencies_s = await open_loop(self.decoder, self.packets, arrivals)
        return {"p50_ms": percentile_ms(latencies_s, 50), "p99_ms": percentile_ms(latencies_s, 99)}

    async def path_latency(self, arrivals: Sequence[Arrival]) -> dict[str, Any]:
        """The same arrivals through Redis, from when a frame was due until its mask was published."""
        self.fleet.epoch += 1
        before, metrics = self.stack.processor_time(), self.stack.metrics()
        began_s = await self.fleet.play(arrivals)
        await self.fleet.drained()
        span_s = time.time() - began_s
        used, after = self.stack.processor_time().since(before), self.stack.metrics()
        masks = await self._masks(len(arrivals))
        latencies_s = [masks[arrival.stream, arrival.sequence] - began_s - arrival.at_s for arrival in arrivals]
        return {
            "p50_ms": percentile_ms(latencies_s, 50),
            "p99_ms": percentile_ms(latencies_s, 99),
            "frames_per_s": len(arrivals) / span_s,
            "mean_batch": mean_batch(metrics, after),
            "cpu_ms_outside_triton": 1000 * used.outside_triton_s / len(arrivals),
            "cpu_ms": used.per_frame_ms(len(arrivals)),
            "stages_ms": stage_means_ms(metrics, after),
        }

    async def _masks(self, frames: int) -> dict[tuple[int, int], float]:
        masks = await self.fleet.take_masks()
        if len(masks) != frames:
            raise ServiceError(f"{frames} frames were sent and {len(masks)} masks came: a frame is missing")
        return masks


@asynccontextmanager
async def connected(stack: Stack, packets: Packets, streams: int = STREAMS) -> AsyncIterator[Sides]:
    """Both sides of running parts, with so many cameras."""
    store = Store.connect(stack.redis.url)
    try:
        decoder = await TritonDecoder.connect(
            stack.triton.grpc_address, stack.bundle, max_batch=MAX_BATCH, slots=IN_FLIGHT, shared_memory=True
        )
        try:
            yield Sides(stack, decoder, await Fleet.register(store, packets, "bench", streams), packets)
        finally:
            await decoder.close()
    finally:
        await store.close()


def whole_batches(frames: float) -> int:
    """So many frames in full batches, four of them at least."""
    return max(4 * MAX_BATCH, int(frames) // MAX_BATCH * MAX_BATCH)
