"""What only Triton's ``/metrics`` says: requests that wait, and how its GPUs are doing. Shown, and steering nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

_ANSWER_S = 1.0
_MOST_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class TritonGauges:
    """One server.

    Attributes:
        pending: requests that wait in its queues; ``None`` where it does not say.
        gpu_ratio: the mean ``nv_gpu_utilization`` of its GPUs, 0 to 1; ``None`` without one. It reads high long before
            a GPU is full.
        gpu_used_bytes, gpu_total_bytes: memory of its GPUs together.
    """

    pending: int | None = None
    gpu_ratio: float | None = None
    gpu_used_bytes: float | None = None
    gpu_total_bytes: float | None = None


def parse_gauges(text: str) -> TritonGauges:
    """Read an exposition.

    Raises:
        ValueError: it is none.
    """
    values: dict[str, list[float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            values.setdefault(sample.name, []).append(sample.value)

    def total(name: str) -> float | None:
        return sum(values[name]) if name in values else None

    pending, busy = total("nv_inference_pending_request_count"), values.get("nv_gpu_utilization")
    return TritonGauges(
        pending=None if pending is None else int(pending),
        gpu_ratio=sum(busy) / len(busy) if busy else None,
        gpu_used_bytes=total("nv_gpu_memory_used_bytes"),
        gpu_total_bytes=total("nv_gpu_memory_total_bytes"),
    )


class TritonScraper:
    """Asks every server; what does not answer is left out."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def look(self, metrics_of: Mapping[str, str]) -> dict[str, TritonGauges]:
        """The gauges by server, given the address of each one's metrics."""
        answers = await asyncio.gather(*(self._one(address) for address in metrics_of.values()))
        return {server: each for server, each in zip(metrics_of, answers, strict=True) if each is not None}

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def _one(self, address: str) -> TritonGauges | None:
        self._session = self._session or aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_ANSWER_S))
        try:
            async with self._session.get(f"http://{address}/metrics") as response:
                body = await response.content.read(_MOST_BYTES)
            return parse_gauges(body.decode("utf-8", "replace"))
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            return None
