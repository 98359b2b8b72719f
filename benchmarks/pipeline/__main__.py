"""The path from Redis to masks beside a plain loop straight at the same Triton model.

Example: python -m benchmarks.pipeline --quick
"""

from __future__ import annotations

import argparse
import asyncio
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.pipeline import against
from benchmarks.pipeline.floor import floor_ms
from benchmarks.pipeline.packets import Packets
from benchmarks.pipeline.report import show
from benchmarks.pipeline.schedule import poisson_arrivals
from benchmarks.pipeline.sides import LOAD, STREAMS, Sides, connected, whole_batches
from benchmarks.pipeline.stack import MAX_BATCH, running
from benchmarks.pipeline.statistics_of import median_of
from benchmarks.pipeline.straight import label_maps
from benchmarks.record import write_result
from narrows.contract.bundle import Bundle

_SEED = 20260


@dataclass(frozen=True)
class Plan:
    """How long to measure."""

    rounds: int
    window_s: float
    latency_s: float
    growth: Sequence[int]
    growth_s: float
    growth_frames_per_s: float
    growth_frames: int


FULL = Plan(3, 5.0, 8.0, (10, 100, 1000, 5000), 10.0, 100.0, 20_000)
QUICK = Plan(1, 1.5, 1.5, (10, 100), 1.5, 40.0, 1_800)
_PREDICTED = 8
"""P packets behind each K of the streams that grow in number: as many references as a dispatcher keeps of a stream."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench-pipeline", description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", type=Path, default=Path("bundles/demo"))
    parser.add_argument("--frames", type=Path, default=Path("samples"), help="folder of pictures, searched through")
    parser.add_argument("--quick", action="store_true", help="one short round; writes nothing")
    parser.add_argument("--only", choices=["model", "free", "growth", "against"], help="one part; writes nothing")
    parser.add_argument("--streams", type=int, nargs="+", metavar="N", help="numbers of streams that growth measures")
    parser.add_argument(
        "--against", metavar="REV", help="measure this commit's path beside, in turn; with --quick that alone"
    )
    parser.add_argument("--run-folder", type=Path, default=Path("build/bench-pipeline"))
    options = parser.parse_args()
    plan = QUICK if options.quick else FULL
    if options.streams:
        plan = replace(plan, growth=options.streams)
    only = "against" if options.quick and options.against else options.only
    if only == "against" and options.against is None:
        parser.error("--only against needs --against REV")
    bundle, frames, folder = options.bundle, options.frames, options.run_folder
    figures: dict[str, Any] = {"load_average_before": os.getloadavg()[0]}
    if only != "against":
        figures |= asyncio.run(measure(plan, Bundle.open(bundle), frames, folder, only))
    if options.against is not None and only in (None, "against"):
        beside = against.QUICK if options.quick else against.FULL
        found = asyncio.run(against.measure_against(options.against, beside, bundle, frames, folder))
        figures |= found | {"near_free_model": figures.get("near_free_model", {}) | found["near_free_model"]}
    figures["load_average_after"] = os.getloadavg()[0]
    show(figures)
    if not (options.quick or options.only):
        print(write_result("pipeline", "make bench-pipeline", figures))


async def measure(plan: Plan, bundle: Bundle, frames: Path, folder: Path, only: str | None = None) -> dict[str, Any]:
    """Everything, one part after the other."""
    packets = Packets.encode(bundle, frames)
    figures: dict[str, Any] = {
        "bundle": bundle.hex_id, "level": packets.level, "packet_bytes": packets.mean_bytes, "streams": STREAMS,
        "rounds": plan.rounds, "max_batch": MAX_BATCH,
    }  # fmt: skip
    with running(bundle, folder) as stack:
        async with connected(stack, packets) as sides:
            labels = await label_maps(sides.decoder, packets)
            if only in (None, "model"):
                figures |= await _compare(plan, sides, latency=True)
    figures["floor_ms"] = floor_ms(packets, labels)
    if only in (None, "free"):
        with running(bundle, folder, labels=labels) as stack:
            async with connected(stack, packets) as sides:
                figures["near_free_model"] = await _compare(plan, sides, latency=False)
    if only in (None, "growth"):
        chains = Packets.chains(bundle, frames, packets.level, _PREDICTED)
        rows = [await _grow(plan, chains, folder, labels, count) for count in plan.growth]
        figures |= {"growth": rows, **growth_ratios(rows)}
    return figures


async def _compare(plan: Plan, sides: Sides, *, latency: bool) -> dict[str, Any]:
    """Rounds of both sides, in turn; medians of the rounds, and the rounds themselves."""
    rounds = []
    straight = await sides.straight_throughput(8 * MAX_BATCH)
    path = await sides.path_throughput(8 * MAX_BATCH)
    for number in range(plan.rounds):
        sizes = [whole_batches(side["frames_per_s"] * plan.window_s) for side in (straight, path)]
        straight = await sides.straight_throughput(sizes[0])
        path = await sides.path_throughput(sizes[1])
        found: dict[str, Any] = {"straight": straight, "path": path}
        if latency:
            rate = LOAD * straight["frames_per_s"]
            arrivals = poisson_arrivals(rate, plan.latency_s, STREAMS, _SEED + number)
            found["straight_at_load"] = await sides.straight_latency(arrivals)
            found["path_at_load"] = await sides.path_latency(arrivals) | {"offered_frames_per_s": rate}
        rounds.append(found | {"load_average": os.getloadavg()[0]})
    return _summary(rounds, latency=latency) | {"each_round": rounds}


def _summary(rounds: list[dict[str, Any]], *, latency: bool) -> dict[str, Any]:
    def middle(side: str, *names: str) -> float:
        return median_of([_dig(each[side], names) for each in rounds])

    cpu_ms = middle("path", "cpu_ms_outside_triton")
    summary: dict[str, Any] = {
        "throughput_ratio": median_of([r["path"]["frames_per_s"] / r["straight"]["frames_per_s"] for r in rounds]),
        "straight_frames_per_s": middle("straight", "frames_per_s"),
        "path_frames_per_s": middle("path", "frames_per_s"),
        "mean_batch": middle("path", "mean_batch"),
        "cpu_ms_outside_triton": cpu_ms,
        "frames_per_s_per_core": 1000 / cpu_ms,
        "cpu_ms": {name: middle("path", "cpu_ms", name) for name in rounds[0]["path"]["cpu_ms"]},
        "stages_ms": {name: middle("path", "stages_ms", name) for name in rounds[0]["path"]["stages_ms"]},
    }
    if latency:
        for percent in ("p50", "p99"):
            name = f"{percent}_ms"
            added = [r["path_at_load"][name] - r["straight_at_load"][name] for r in rounds]
            summary[f"added_latency_ms_{percent}"] = median_of(added)
            summary[f"straight_latency_ms_{percent}"] = middle("straight_at_load", name)
            summary[f"path_latency_ms_{percent}"] = middle("path_at_load", name)
        at_load = rounds[0]["path_at_load"]
        summary["cpu_ms_outside_triton_at_load"] = middle("path_at_load", "cpu_ms_outside_triton")
        summary["stages_ms_at_load"] = {
            name: middle("path_at_load", "stages_ms", name) for name in at_load["stages_ms"]
        }
    return summary


async def _grow(plan: Plan, packets: Packets, folder: Path, labels: NDArray[np.uint8], streams: int) -> dict[str, Any]:
    """One dispatcher with so many streams: each sent a whole chain, so that all references that are kept are there."""
    round_frames = packets.chain * streams
    with running(packets.bundle, folder, labels=labels) as stack:
        async with connected(stack, packets, streams) as sides:
            await sides.path_throughput(round_frames)
            resident_mb = stack.dispatcher_resident_bytes() / 1e6
            idle_from = stack.processor_time()
            await asyncio.sleep(plan.growth_s / 4)
            idle = stack.processor_time().since(idle_from)
            arrivals = poisson_arrivals(plan.growth_frames_per_s, plan.growth_s, streams, _SEED)
            at_load = await sides.path_latency(arrivals)
            full = await sides.path_throughput(round_frames * math.ceil(plan.growth_frames / round_frames))
    return {
        "streams": streams,
        "predicted_after_each_key": packets.chain - 1,
        "offered_frames_per_s": plan.growth_frames_per_s,
        "resident_mb": resident_mb,
        "idle_cpu_ms_per_s": 1000 * idle.outside_triton_s / (plan.growth_s / 4),
        "at_load": at_load,
        "full": full,
    }


def growth_ratios(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """What a frame of the most streams costs over one of the fewest; empty for one number of streams."""
    fewest, most = (choose(rows, key=lambda row: row["streams"]) for choose in (min, max))
    if fewest is most:
        return {}
    figure = "cpu_ms_outside_triton"
    return {
        "growth_cpu_ratio": most["full"][figure] / fewest["full"][figure],
        "growth_cpu_ratio_at_load": most["at_load"][figure] / fewest["at_load"][figure],
    }


def _dig(value: Any, names: Sequence[str]) -> float:  # noqa: ANN401
    for name in names:
        value = value[name]
    return float(value)


if __name__ == "__main__":
    main()
