"""The load of several servers: what is offered over the sum of what they can do."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from narrows.contract.errors import InferenceFailed, ServiceError
from orchestrator.inference.endpoint import Connection, Endpoint
from orchestrator.inference.load import LoadMeter, LoadReading
from orchestrator.inference.rate import Rate

_RATE_HALF_LIFE_S = 5.0
_ANSWER_S = 2.0


class Rotation(Protocol):
    """What the meter asks of a pool."""

    @property
    def rotation(self) -> list[Endpoint]:
        """The servers that take work."""
        ...


class FleetMeter:
    """Counts the frames offered, learns on each server what its batches cost, and reads both as one load.

    It also tells each endpoint how many instances there are, by which work is shared out.
    """

    def __init__(self, pool: Rotation, clock: Callable[[], float] = time.monotonic) -> None:
        self._pool, self._clock = pool, clock
        self._offered = Rate(_RATE_HALF_LIFE_S)
        self._polled_at = clock()
        self._meters: dict[Connection, LoadMeter] = {}

    def observe_offered(self, frames: int) -> None:
        """As :meth:`orchestrator.inference.LoadMeter.observe_offered`."""
        self._offered.observe(frames)

    async def poll(self) -> LoadReading:
        """As :meth:`orchestrator.inference.LoadMeter.poll`; a server that does not answer is left out this time."""
        endpoints = {
            endpoint.connection: endpoint for endpoint in self._pool.rotation if endpoint.connection is not None
        }
        self._meters = {
            connection: self._meters.get(connection) or LoadMeter(connection.decoder, clock=self._clock)
            for connection in endpoints
        }
        found = await asyncio.gather(
            *(self._read(endpoint, self._meters[each]) for each, endpoint in endpoints.items())
        )
        now = self._clock()
        elapsed_s, self._polled_at = max(now - self._polled_at, 1e-3), now
        return combined([reading for reading in found if reading is not None], self._offered.take(elapsed_s))

    async def _read(self, endpoint: Endpoint, meter: LoadMeter) -> LoadReading | None:
        try:
            async with asyncio.timeout(_ANSWER_S):
                reading = await meter.poll()
        except (ServiceError, InferenceFailed, TimeoutError):
            return None
        endpoint.instances = reading.instances
        return reading


def combined(servers: Sequence[LoadReading], frames_per_s: float) -> LoadReading:
    """One reading from those of single servers, and what is offered to them together.

    A server of which nothing is known yet is taken to do as much with each instance as the others do. With no server
    the load of any work is infinite.
    """
    instances = sum(each.instances for each in servers)
    known = [each for each in servers if not math.isnan(each.capacity_frames_per_s)]
    if not servers:
        return LoadReading(math.inf if frames_per_s > 0 else 0.0, 0.0, 0, 0, 0.0, math.nan, math.nan)
    busy_ratio = sum(each.busy_ratio * max(1, each.instances) for each in servers) / sum(
        max(1, each.instances) for each in servers
    )
    if not known:
        return LoadReading(math.nan, busy_ratio, instances, len(servers), math.nan, math.nan, math.nan)
    capacity = sum(each.capacity_frames_per_s for each in known)
    weights = [each.capacity_frames_per_s / capacity for each in known]
    unknown = sum(max(1, each.instances) for each in servers) - sum(max(1, each.instances) for each in known)
    total = capacity * (1 + unknown / sum(max(1, each.instances) for each in known))
    return LoadReading(
        load_ratio=frames_per_s / total,
        busy_ratio=busy_ratio,
        instances=instances,
        replicas=len(servers),
        capacity_frames_per_s=total,
        cost_base_s=sum(weight * each.cost_base_s for weight, each in zip(weights, known, strict=True)),
        cost_per_frame_s=sum(weight * each.cost_per_frame_s for weight, each in zip(weights, known, strict=True)),
    )
