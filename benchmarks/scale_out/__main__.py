"""1, 2 and 4 dispatcher processes before a sharded Redis, and what a frame, a stream, a shard and a process cost.

Example: python -m benchmarks.scale_out --quick
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markdown import Markdown

from benchmarks.pipeline.fleet import Fleet
from benchmarks.pipeline.packets import Packets
from benchmarks.pipeline.schedule import poisson_arrivals
from benchmarks.pipeline.sides import whole_batches
from benchmarks.pipeline.statistics_of import steady_rate
from benchmarks.record import write_result
from benchmarks.scale_out.figures import render
from benchmarks.scale_out.fit import Point, as_json, fit
from benchmarks.scale_out.fleets import CAMERAS, FRAMES_PER_S, needs
from benchmarks.scale_out.parts import Dispatchers, Parts, running
from narrows.contract.bundle import Bundle
from narrows.contract.errors import ServiceError
from orchestrator.dispatch import Store

_SEED = 20261
_GIVE_UP_S = 120.0
_SATURATED_STREAMS = 64


@dataclass(frozen=True)
class Plan:
    """What to measure.

    Attributes:
        processes: side by side, and saturated.
        saturated_shards: of the install then.
        frames: of one round, at first; the second is as long as ``saturated_s`` suggests.
        shards, streams, frames_per_s: the grid, of one process.
        further: processes, shards, streams and frames/s of further points: what a process costs by itself.
        window_s: how long each point of it is.
    """

    processes: Sequence[int]
    saturated_shards: int
    frames: int
    saturated_s: float
    shards: Sequence[int]
    streams: Sequence[int]
    frames_per_s: Sequence[float]
    further: Sequence[tuple[int, int, int, float]]
    window_s: float


FULL = Plan(
    (1, 2, 4), 16, 512, 6.0, (4, 32), (20, 300, 1000), (0.0, 100.0, 400.0),
    ((2, 32, 300, 0.0), (2, 32, 300, 200.0), (4, 32, 300, 0.0), (4, 32, 300, 200.0)), 5.0,
)  # fmt: skip
QUICK = Plan((1, 2), 8, 128, 1.0, (4, 16), (20, 200), (0.0, 100.0), ((2, 16, 100, 0.0), (2, 16, 100, 100.0)), 1.5)


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench-scale-out", description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", type=Path, default=Path("bundles/demo"))
    parser.add_argument("--frames", type=Path, default=Path("samples"), help="folder of pictures, searched through")
    parser.add_argument("--quick", action="store_true", help="a small grid in about a minute; writes nothing")
    parser.add_argument("--run-folder", type=Path, default=Path("build/bench-scale-out"))
    options = parser.parse_args()
    plan = QUICK if options.quick else FULL
    figures: dict[str, Any] = {"load_average_before": os.getloadavg()[0]}
    figures |= asyncio.run(measure(plan, Bundle.open(options.bundle), options.frames, options.run_folder))
    figures["load_average_after"] = os.getloadavg()[0]
    Console(width=120).print(Markdown(render(figures)))
    if not options.quick:
        print(write_result("scale-out", "make bench-scale-out", figures))


async def measure(plan: Plan, bundle: Bundle, frames: Path, folder: Path) -> dict[str, Any]:
    """Saturated, the grid, the fits, and what they say of larger fleets."""
    packets = Packets.encode(bundle, frames)
    with running(bundle, packets, folder) as parts:
        sides = [await _saturated(plan, parts, packets, count) for count in plan.processes]
        measured = []
        for shards in plan.shards:
            measured += await _grid(plan, parts, packets, shards)
        for processes in sorted({each[0] for each in plan.further}):
            points = [each for each in plan.further if each[0] == processes]
            measured += await _points(plan, parts, packets, processes, points)
    dispatchers, redis = (fit([points[part] for points in measured]) for part in (0, 1))
    return {
        "bundle": bundle.hex_id, "level": packets.level, "redis_masters": len(parts.redis.servers),
        "processes": sides,
        "points": [asdict(d) | {"redis_cpu_s": r.cpu_s} for d, r in measured],
        "fit": {"dispatchers": as_json(dispatchers), "redis": as_json(redis)},
        "fleets": [asdict(needs(cameras, fps, dispatchers, redis)) for cameras in CAMERAS for fps in FRAMES_PER_S],
    }  # fmt: skip


async def _saturated(plan: Plan, parts: Parts, packets: Packets, processes: int) -> dict[str, Any]:
    """From a backlog that lasts: frames a second and processor time a frame."""
    with parts.dispatching(processes, plan.saturated_shards) as dispatchers:
        store = Store.connect(parts.redis.url)
        try:
            fleet = await _register(store, packets, dispatchers, "full", _SATURATED_STREAMS)
            rate, frames = 0.0, plan.frames
            for _ in range(2):  # the first round warms up, and says how many the second needs
                before = dispatchers.used_s()
                await fleet.preload(frames)
                await fleet.drained()
                dispatchers_s, redis_s = (now - then for now, then in zip(dispatchers.used_s(), before, strict=True))
                ended_s = await fleet.take_masks()
                if len(ended_s) != frames:
                    raise ServiceError(f"{frames} frames were sent and {len(ended_s)} masks came")
                done, rate = frames, steady_rate(list(ended_s.values()))
                frames, fleet.epoch = whole_batches(rate * plan.saturated_s), fleet.epoch + 1
            most = int(max(dispatchers.samples("narrows_shards_owned")))
        finally:
            await store.close()
    return {
        "processes": processes, "shards": plan.saturated_shards, "most_shards": most, "frames": done,
        "frames_per_s": rate, "dispatchers_ms": 1000 * dispatchers_s / done, "redis_ms": 1000 * redis_s / done,
        "load_average": os.getloadavg()[0],
    }  # fmt: skip


async def _grid(plan: Plan, parts: Parts, packets: Packets, shards: int) -> list[tuple[Point, Point]]:
    points = [(1, shards, streams, rate) for streams in sorted(plan.streams) for rate in plan.frames_per_s]
    return await _points(plan, parts, packets, 1, points)


async def _points(
    plan: Plan, parts: Parts, packets: Packets, processes: int, points: Sequence[tuple[int, int, int, float]]
) -> list[tuple[Point, Point]]:
    """Points of one install, in an order in which streams only come; each for the dispatchers and for Redis."""
    shards = points[0][1]
    found = []
    with parts.dispatching(processes, shards) as dispatchers:
        store = Store.connect(parts.redis.url)
        try:
            fleet = Fleet(store, packets, [])
            for _, _, streams, rate in points:
                more = streams - len(fleet.keys)
                if more > 0:
                    added = await _register(store, packets, dispatchers, f"to-{streams}", more)
                    fleet = Fleet(store, packets, [*fleet.keys, *added.keys], fleet.epoch)
                found.append(await _point(plan, dispatchers, fleet, rate))
        finally:
            await store.close()
    return found


async def _point(plan: Plan, dispatchers: Dispatchers, fleet: Fleet, rate: float) -> tuple[Point, Point]:
    streams, sent = len(fleet.keys), 0
    masks = dispatchers.masks()
    before, began_s = dispatchers.used_s(), time.monotonic()
    if rate:
        arrivals = poisson_arrivals(rate, plan.window_s, streams, _SEED)
        sent, fleet.epoch = len(arrivals), fleet.epoch + 1
        await fleet.play(arrivals)
        await _ended(dispatchers, masks + sent)
    else:
        await asyncio.sleep(plan.window_s)
    used, span_s = dispatchers.used_s(), time.monotonic() - began_s
    dispatchers_s, redis_s = (now - then for now, then in zip(used, before, strict=True))
    common = (dispatchers.processes, dispatchers.shards, streams, sent, span_s)
    return Point(*common, dispatchers_s), Point(*common, redis_s)


async def _ended(dispatchers: Dispatchers, masks: int) -> None:
    """Wait by the dispatchers' own counters: asking every stream would be work for Redis."""
    give_up_s = time.monotonic() + _GIVE_UP_S
    while (found := dispatchers.masks()) < masks:
        if time.monotonic() > give_up_s:
            raise ServiceError(f"{masks} masks should have come in all and {found} did; look at the dispatchers' log")
        await asyncio.sleep(0.2)


async def _register(store: Store, packets: Packets, dispatchers: Dispatchers, prefix: str, count: int) -> Fleet:
    return await Fleet.register(store, packets, prefix, count, shards=dispatchers.shards)


if __name__ == "__main__":
    main()
