"""The rival: straight at Triton, through the same shared-memory client, with no path around it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.pipeline.packets import Packets
from benchmarks.pipeline.schedule import Arrival
from orchestrator.inference import TritonDecoder
from orchestrator.inference.contract import lent

IN_FLIGHT = 2  # as a batcher has them: one batch more than instances


async def closed_loop(decoder: TritonDecoder, packets: Packets, batch: int, frames: int) -> list[float]:
    """Batches back to back; when each frame was done, monotonic seconds."""
    ended_s: list[float] = []
    left = iter(range(0, frames, batch))

    async def work() -> None:
        for first in left:
            async with lent(decoder) as slot:
                for i in range(batch):
                    slot.inputs["symbols"][i] = packets.symbols[(first + i) % len(packets.symbols)]
                    slot.inputs["level"][i, 0] = packets.level
                await slot.run(batch)
            ended_s.extend([time.monotonic()] * batch)

    await asyncio.gather(*(work() for _ in range(IN_FLIGHT)))
    return ended_s


async def open_loop(decoder: TritonDecoder, packets: Packets, arrivals: Sequence[Arrival]) -> list[float]:
    """Frames as they arrive, those that wait together in one batch; each one's latency in seconds."""
    waiting: asyncio.Queue[int] = asyncio.Queue()
    latencies_s = [float("nan")] * len(arrivals)
    begun_s = time.monotonic() + 0.05

    async def arrive() -> None:
        for index, arrival in enumerate(arrivals):
            await asyncio.sleep(max(0.0, begun_s + arrival.at_s - time.monotonic()))
            waiting.put_nowait(index)

    async def work() -> None:
        while True:
            batch = [await waiting.get()]
            async with lent(decoder) as slot:
                while not waiting.empty() and len(batch) < decoder.max_batch:
                    batch.append(waiting.get_nowait())
                for i, index in enumerate(batch):
                    slot.inputs["symbols"][i] = packets.symbols[index % len(packets.symbols)]
                    slot.inputs["level"][i, 0] = packets.level
                await slot.run(len(batch))
            for index in batch:
                latencies_s[index] = time.monotonic() - begun_s - arrivals[index].at_s
            if not np.isnan(latencies_s).any():
                return

    workers = [asyncio.create_task(work()) for _ in range(IN_FLIGHT)]
    await arrive()
    await asyncio.wait(workers, return_when=asyncio.FIRST_COMPLETED)
    for worker in workers:
        worker.cancel()
    await asyncio.gather(*workers, return_exceptions=True)
    return latencies_s


async def label_maps(decoder: TritonDecoder, packets: Packets) -> NDArray[np.uint8]:
    """The label maps ``(n, H, W)`` uint8 of the packets' symbols."""
    maps = []
    for symbols in packets.symbols:
        async with lent(decoder) as slot:
            slot.inputs["symbols"][0], slot.inputs["level"][0, 0] = symbols, packets.level
            maps.append((await slot.run(1))[0][0].copy())
    return np.stack(maps)
