"""A flood beside quiet cameras, weights under overload, and what realtime streams shed: on real processes.

Example: python -m benchmarks.fairness --quick
"""

from __future__ import annotations

import argparse
import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.fairness.shares import fair_shares, worst_deviation
from benchmarks.pipeline.fleet import Fleet
from benchmarks.pipeline.packets import Packets
from benchmarks.pipeline.schedule import even_arrivals, number_arrivals
from benchmarks.pipeline.stack import MAX_BATCH, Stack, running
from benchmarks.pipeline.statistics_of import median_of, percentile_ms, steady_rate
from benchmarks.pipeline.straight import IN_FLIGHT, closed_loop
from benchmarks.record import write_result
from narrows.contract.bundle import Bundle
from narrows.contract.wire.streams import Policy, StreamSettings
from orchestrator.dispatch import Store
from orchestrator.inference import TritonDecoder

_CAMERAS = 10
_BASE_LOAD = 0.5
_FLOOD = 100
_WEIGHTS = (1.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0, 4.0, 4.0, 4.0, 4.0)
_OVERLOAD = 2.5
_WARM_S = 1.5


@dataclass(frozen=True)
class Plan:
    """How long to measure."""

    rounds: int
    flood_s: float
    shares_s: float


FULL = Plan(3, 6.0, 8.0)
QUICK = Plan(1, 2.0, 3.0)


@dataclass(frozen=True)
class Bench:
    """What every question needs: the parts, the packets and what Triton alone can do."""

    stack: Stack
    store: Store
    packets: Packets
    capacity_per_s: float


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench-fairness", description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", type=Path, default=Path("bundles/demo"))
    parser.add_argument("--frames", type=Path, default=Path("samples"), help="folder of pictures, searched through")
    parser.add_argument("--quick", action="store_true", help="one short round; writes nothing")
    parser.add_argument("--run-folder", type=Path, default=Path("build/bench-fairness"))
    options = parser.parse_args()
    plan = QUICK if options.quick else FULL
    figures = asyncio.run(measure(plan, Bundle.open(options.bundle), options.frames, options.run_folder))
    show(figures)
    if not options.quick:
        print(write_result("fairness", "make bench-fairness", figures))


async def measure(plan: Plan, bundle: Bundle, frames: Path, folder: Path) -> dict[str, Any]:
    """All three questions, one after the other."""
    packets = Packets.encode(bundle, frames)
    figures: dict[str, Any] = {
        "bundle": bundle.hex_id,
        "rounds": plan.rounds,
        "load_average_before": os.getloadavg()[0],
    }
    with running(bundle, folder) as stack:
        store = Store.connect(stack.redis.url)
        try:
            capacity = await _capacity(stack, packets)
            bench = Bench(stack, store, packets, capacity)
            figures["capacity_frames_per_s"] = capacity
            figures["flood"] = await _flood(plan, bench)
            figures["weights"] = await _weights(plan, bench)
            figures["shedding"] = await _shedding(plan, bench)
        finally:
            await store.close()
    return figures | {"load_average_after": os.getloadavg()[0]}


async def _capacity(stack: Stack, packets: Packets) -> float:
    decoder = await TritonDecoder.connect(
        stack.triton.grpc_address, stack.bundle, max_batch=MAX_BATCH, slots=IN_FLIGHT, shared_memory=True
    )
    try:
        return steady_rate(await closed_loop(decoder, packets, MAX_BATCH, 20 * MAX_BATCH))
    finally:
        await decoder.close()


async def _flood(plan: Plan, bench: Bench) -> dict[str, Any]:
    """The others' p95 with a camera at 100 times its rate over that without, round by round."""
    rate = _BASE_LOAD * bench.capacity_per_s / _CAMERAS
    realtime = StreamSettings(policy=Policy.REALTIME)
    fleet = await Fleet.register(bench.store, bench.packets, "flood", _CAMERAS, lambda _: realtime)
    rounds = []
    for number in range(plan.rounds):
        calm = await _others_p95_ms(fleet, rate, rate, plan.flood_s, number)
        flooded = await _others_p95_ms(fleet, rate, _FLOOD * rate, plan.flood_s, number)
        rounds.append({"calm_p95_ms": calm, "flooded_p95_ms": flooded, "ratio": flooded / calm})
    return {
        "cameras": _CAMERAS,
        "frames_per_s_each": rate,
        "flood_frames_per_s": _FLOOD * rate,
        **{name: median_of([each[name] for each in rounds]) for name in rounds[0]},
        "each_round": rounds,
    }


async def _others_p95_ms(fleet: Fleet, rate: float, first_rate: float, length_s: float, seed: int) -> float:
    """Play all cameras, the first at a rate of its own; the p95 of the latency of the others."""
    phases = np.random.default_rng(seed).random(_CAMERAS)
    due: list[tuple[float, int]] = []
    for camera in range(_CAMERAS):
        due += even_arrivals(first_rate if camera == 0 else rate, length_s, camera, phases[camera])
    arrivals = number_arrivals(due)
    fleet.epoch += 1
    began_s = await fleet.play(arrivals)
    await fleet.drained()
    masks = await fleet.take_masks()
    # a frame that was skipped had no mask in time: it counts as late as realtime frames may be
    late_s = StreamSettings().stale_ms / 1000
    latencies_s = [
        masks.get((a.stream, a.sequence), began_s + a.at_s + late_s) - began_s - a.at_s for a in arrivals if a.stream
    ]
    return percentile_ms(latencies_s, 95)


async def _weights(plan: Plan, bench: Bench) -> dict[str, Any]:
    """Complete streams that always have frames waiting: masks by weight, a group has the sum of its members."""

    def settings(stream: int) -> StreamSettings:
        weight = _WEIGHTS[stream]
        return StreamSettings(policy=Policy.COMPLETE, weight=weight, group=f"weight-{weight:g}")

    rounds = []
    for number in range(plan.rounds):
        fleet = await Fleet.register(bench.store, bench.packets, f"weights{number}", len(_WEIGHTS), settings)
        per_stream = bench.capacity_per_s * (plan.shares_s + 2 * _WARM_S) * max(_WEIGHTS) / sum(_WEIGHTS) * 1.3
        await fleet.preload(int(per_stream) * len(_WEIGHTS))
        await asyncio.sleep(_WARM_S)
        before = await fleet.mask_counts()
        await asyncio.sleep(plan.shares_s)
        masks = [after - was for after, was in zip(await fleet.mask_counts(), before, strict=True)]
        await fleet.discard()
        rounds.append(_shares_found(masks, _WEIGHTS))
    return _middle(rounds)


async def _shedding(plan: Plan, bench: Bench) -> dict[str, Any]:
    """Realtime streams that offer more than fits: the masks of each beside their weighted max-min shares."""

    def settings(stream: int) -> StreamSettings:
        return StreamSettings(policy=Policy.REALTIME, weight=_WEIGHTS[stream])

    rate = _OVERLOAD * bench.capacity_per_s / len(_WEIGHTS)
    length_s = plan.shares_s + _WARM_S
    fleet = await Fleet.register(bench.store, bench.packets, "shedding", len(_WEIGHTS), settings)
    rounds = []
    for number in range(plan.rounds):
        phases = np.random.default_rng(number).random(len(_WEIGHTS))
        due = [at for s, phase in enumerate(phases) for at in even_arrivals(rate, length_s, s, phase)]
        fleet.epoch += 1
        playing = asyncio.create_task(fleet.play(number_arrivals(due)))
        await asyncio.sleep(_WARM_S)
        before = await fleet.mask_counts()
        await asyncio.sleep(plan.shares_s - 0.2)
        masks = [after - was for after, was in zip(await fleet.mask_counts(), before, strict=True)]
        await playing
        await fleet.drained()
        await fleet.take_masks()
        offered = [rate * (plan.shares_s - 0.2)] * len(_WEIGHTS)
        rounds.append(_shares_found(masks, fair_shares(sum(masks), offered, _WEIGHTS)))
    return _middle(rounds) | {"offered_over_capacity": _OVERLOAD}


def _shares_found(masks: Sequence[int], due: Sequence[float]) -> dict[str, Any]:
    """Each stream's and each weight's masks beside what is due."""
    by_weight: dict[float, tuple[float, float]] = {}
    for weight, count, owed in zip(_WEIGHTS, masks, due, strict=True):
        found, wanted = by_weight.get(weight, (0.0, 0.0))
        by_weight[weight] = (found + count, wanted + owed)
    total = sum(masks)
    return {
        "masks": list(masks),
        "worst_stream": worst_deviation(masks, due),
        "worst_group": worst_deviation(*zip(*by_weight.values(), strict=True)),
        "shares": [
            {"weight": weight, "share": found / total, "due": wanted / sum(due)}
            for weight, (found, wanted) in by_weight.items()
        ],
    }


def _middle(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """The medians of several rounds."""
    pick: Callable[[str], float] = lambda name: median_of([each[name] for each in rounds])  # noqa: E731
    shares = [
        row | {"share": median_of([each["shares"][i]["share"] for each in rounds])}
        for i, row in enumerate(rounds[0]["shares"])
    ]
    return {
        "worst_stream": pick("worst_stream"),
        "worst_group": pick("worst_group"),
        "shares": shares,
        "each_round": rounds,
    }


def show(figures: dict[str, Any]) -> None:
    """Print what was measured."""
    flood = figures["flood"]
    table = Table("others' p95 beside a flood", "ms")
    table.add_row("without", f"{flood['calm_p95_ms']:.1f}")
    table.add_row(f"one camera of {flood['cameras']} at {_FLOOD} times its rate", f"{flood['flooded_p95_ms']:.1f}")
    table.add_row("ratio", f"{flood['ratio']:.2f}")
    Console(width=110).print(table)
    for name in ("weights", "shedding"):
        table = Table(f"{name}: masks of", "share", "due")
        for row in figures[name]["shares"]:
            table.add_row(f"weight {row['weight']:g}", f"{row['share']:.2%}", f"{row['due']:.2%}")
        table.add_row(
            "worst group, worst stream", f"{figures[name]['worst_group']:.1%}", f"{figures[name]['worst_stream']:.1%}"
        )
        Console(width=110).print(table)
    print(f"load average {figures['load_average_before']:.2f} before, {figures['load_average_after']:.2f} after")


if __name__ == "__main__":
    main()
