"""What fleets of any size take, by the fitted costs. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

from benchmarks.scale_out.fit import Fit
from narrows.contract.wire.install import MAX_SHARDS

LOAD = 0.8
"""Of a core: what a dispatcher, or a node of Redis, is planned for; the autoscaler's and docs/sizing.md's target."""
CAMERAS_A_SHARD = 300  # docs/sizing.md
LEAST_SHARDS = 16
CAMERAS = (1_000, 10_000, 100_000)
FRAMES_PER_S = (1, 5)


@dataclass(frozen=True, slots=True)
class FleetNeeds:
    """One fleet.

    Attributes:
        installs: so many; none has more than ``MAX_SHARDS`` shards.
        processes, shards: of all installs together.
        dispatcher_cores, redis_cores: with the error of each, two standard errors.
        redis_nodes: masters that are loaded to :data:`LOAD` at most.
    """

    cameras: int
    frames_per_s: int
    installs: int
    shards: int
    processes: int
    dispatcher_cores: float
    dispatcher_cores_error: float
    redis_nodes: int
    redis_cores: float
    redis_cores_error: float


def needs(cameras: int, frames_per_s: int, dispatchers: Fit, redis: Fit) -> FleetNeeds:
    """What a fleet takes: as many processes as are loaded to :data:`LOAD`, and a shard for each at least."""
    frames = cameras * frames_per_s
    processes, shards = 1, 0
    while True:
        shards = max(LEAST_SHARDS, math.ceil(cameras / CAMERAS_A_SHARD), processes)
        cores, error = dispatchers.cores(processes, shards, cameras, frames)
        if cores <= LOAD * processes:
            break
        processes = max(processes + 1, math.ceil(cores / LOAD))
        if processes > 100 * cameras:
            raise ValueError("a process costs more by itself than it may carry")
    redis_cores, redis_error = redis.cores(processes, shards, cameras, frames)
    return FleetNeeds(
        cameras, frames_per_s, math.ceil(shards / MAX_SHARDS), shards, processes, cores, error,
        math.ceil(redis_cores / LOAD), redis_cores, redis_error,
    )  # fmt: skip
