"""Narrows beside what a user would build instead: the same packets, decoder, cores and masks.

Example: python -m benchmarks.peers --quick
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.peers.contenders import CONTENDERS, PYTHON, Contender, Running, Task
from benchmarks.peers.marked import own_seconds, processor_seconds
from benchmarks.peers.report import show
from benchmarks.pipeline.packets import Packets
from benchmarks.pipeline.schedule import Arrival, poisson_arrivals
from benchmarks.pipeline.stack import MAX_BATCH, running
from benchmarks.pipeline.statistics_of import median_of, percentile_ms, steady_rate
from benchmarks.pipeline.straight import label_maps
from benchmarks.record import write_result
from narrows.contract.bundle import Bundle
from orchestrator.inference import TritonDecoder

LOAD, KILLED_AT = 0.7, 0.5
STREAMS = 16
_SEED = 20261129


@dataclass(frozen=True)
class Plan:
    """How long to measure."""

    rounds: int
    window_s: float
    latency_s: float
    kill_s: float


FULL, QUICK = Plan(3, 5.0, 8.0, 12.0), Plan(1, 1.5, 2.0, 6.0)


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench-peers", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--bundle", type=Path, default=Path("bundles/demo"))
    parser.add_argument("--frames", type=Path, default=Path("samples"), help="folder of pictures, searched through")
    parser.add_argument("--only", nargs="+", choices=[each.name for each in CONTENDERS], help="writes nothing")
    parser.add_argument("--quick", action="store_true", help="one short round; writes nothing")
    parser.add_argument("--run-folder", type=Path, default=Path("build/bench-peers"))
    options = parser.parse_args()
    if not PYTHON.is_file():
        parser.error("there is no .venv-peers: run `make bench-peers`, which makes it")
    chosen = [each for each in CONTENDERS if not options.only or each.name in options.only]
    plan = QUICK if options.quick else FULL
    figures = {"load_average_before": os.getloadavg()[0]}
    figures |= asyncio.run(measure(plan, Bundle.open(options.bundle), options.frames, options.run_folder, chosen))
    figures["load_average_after"] = os.getloadavg()[0]
    show(figures)
    if not (options.quick or options.only):
        print(write_result("peers", "make bench-peers", figures))


async def measure(
    plan: Plan, bundle: Bundle, frames: Path, folder: Path, chosen: Sequence[Contender]
) -> dict[str, Any]:
    """Rounds of all contenders in turn, with the bundle's decoder and with one that costs next to nothing."""
    packets = Packets.encode(bundle, frames)
    with running(bundle, folder / "labels") as stack:
        decoder = await TritonDecoder.connect(stack.triton.grpc_address, bundle, max_batch=MAX_BATCH, slots=1)
        labels = await label_maps(decoder, packets)
        await decoder.close()
    figures: dict[str, Any] = {"bundle": bundle.hex_id, "level": packets.level, "rounds": plan.rounds}
    for model, stored in (("decoder", None), ("near_free_model", labels)):
        rounds: dict[str, list[dict[str, float]]] = {each.name: [] for each in chosen}
        for number in range(plan.rounds):
            for each in chosen:
                task = Task(bundle, packets, folder / model / each.name.replace(" ", "-"), stored)
                print(f"{model}, round {number + 1} of {plan.rounds}: {each.name} ...", flush=True)
                async with each.start(task) as up:
                    last = number == plan.rounds - 1 and stored is None
                    rounds[each.name].append(await _round(plan, up, _SEED + number, killed=last))
        figures[model] = [
            {"name": each.name, "lines": each.lines(), **_middle(rounds[each.name])} for each in chosen
        ]  # fmt: skip
    return figures


async def _round(plan: Plan, up: Running, seed: int, *, killed: bool) -> dict[str, float]:
    """Saturated, then at a share of that, then with a worker killed."""
    trial = await up.load.all_at_once(8 * MAX_BATCH)
    wanted = max(10 * MAX_BATCH, int(plan.window_s * _rate(trial)))
    before, own = processor_seconds(up.mark), own_seconds()
    ends = await up.load.all_at_once(wanted)
    found: dict[str, float] = {
        "frames_per_s": _rate(ends),
        "cpu_ms": 1000 * (processor_seconds(up.mark) - before) / wanted,
        "harness_cpu_ms": 1000 * (own_seconds() - own) / wanted,
    }
    arrivals = poisson_arrivals(LOAD * found["frames_per_s"], plan.latency_s, STREAMS, seed)
    before = processor_seconds(up.mark)
    began_s, ends = await up.load.when_due(arrivals)
    found["cpu_ms_at_load"] = 1000 * (processor_seconds(up.mark) - before) / len(arrivals)
    late = [min(at) - began_s - arrivals[number].at_s for number, at in ends.items()]
    found |= {"p50_ms": percentile_ms(late, 50), "p99_ms": percentile_ms(late, 99)}
    return found | (await _kill(plan, up, found["frames_per_s"], seed) if killed else {})


async def _kill(plan: Plan, up: Running, frames_per_s: float, seed: int) -> dict[str, float]:
    """SIGKILL of one worker in the middle of frames that come at half of the capacity."""
    arrivals = poisson_arrivals(KILLED_AT * frames_per_s, plan.kill_s, STREAMS, seed)
    playing = asyncio.create_task(up.load.when_due(arrivals))
    await asyncio.sleep(plan.kill_s / 2)
    os.kill(up.workers()[0], signal.SIGKILL)
    began_s, ends = await playing
    return {
        "killed_frames": len(arrivals),
        "killed_lost": len(arrivals) - len(ends),
        "killed_doubled": sum(len(at) > 1 for at in ends.values()),
        "killed_longest_s": max(_longest_wait(began_s, arrivals, ends)),
    }


def _longest_wait(began_s: float, arrivals: Sequence[Arrival], ends: dict[int, list[float]]) -> list[float]:
    return [min(at) - began_s - arrivals[number].at_s for number, at in ends.items()] or [float("nan")]


def _rate(ends: dict[int, list[float]]) -> float:
    return steady_rate([min(at) for at in ends.values()])


def _middle(rounds: list[dict[str, float]]) -> dict[str, Any]:
    """Medians, and the rounds themselves."""
    names = {name: None for each in rounds for name in each}
    medians = {name: median_of([each[name] for each in rounds if name in each]) for name in names}
    return {**medians, "each_round": rounds}


if __name__ == "__main__":
    main()
