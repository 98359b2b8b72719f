"""The path of another commit beside the present one, in turn, in one go, driven by one harness.

::

                      ┌─ REV's dispatcher ─┐   each with a Redis and a Triton of its own; packets of format 1,
    harness ─ rounds ─┤                    ├─► REV's decoder graph, fast masks
      in turn         └─ present one ──────┘

Processor time is that of every process but the harness, which plays the cameras: dispatcher and children, Redis, and
what a near-free Triton takes beyond the same frames driven straight at it, so that work that moves into Triton is not
free. At 70 % of the real decoder's capacity Triton's time hangs on the sizes of batches: it is shown, not counted.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.pipeline.packets import Packets
from benchmarks.pipeline.schedule import poisson_arrivals
from benchmarks.pipeline.sides import LOAD, STREAMS, Sides, connected, whole_batches
from benchmarks.pipeline.stack import MAX_BATCH, running
from benchmarks.pipeline.statistics_of import median_of
from benchmarks.pipeline.straight import label_maps
from benchmarks.revision import ROOT, checked_out, commit_of
from narrows.contract.bundle import Bundle

LEVELS = (0, 1)
CLAIMED_LEVEL = 1
_FOLDERS = ("narrows", "orchestrator", "bundles")
_SEED = 20261
Round = dict[str, dict[str, Any]]
"""What a round found, by side: ``rev`` and ``present``."""


@dataclass(frozen=True)
class Plan:
    """How long to measure: rounds of both sides, frames a saturated round, seconds a round at load."""

    rounds: int
    frames: int
    latency_s: float


FULL = Plan(7, 6000, 8.0)
QUICK = Plan(3, 2000, 3.0)


async def measure_against(revision: str, plan: Plan, bundle: Path, frames: Path, folder: Path) -> dict[str, Any]:
    """The figures beside a commit's; those of the near-free model under ``near_free_model``.

    Raises:
        SystemExit: there is no such commit, or it does not build.
    """
    commit = commit_of(revision)
    with checked_out(revision, _FOLDERS) as tree:
        of_level = [Packets.encode(_theirs(tree, bundle), frames, level) for level in LEVELS]
        async with _both(tree, folder, of_level[0], None) as sides:
            labels = await label_maps(sides["present"].decoder, of_level[0])
            at_load = await _rounds(plan, sides, _at_load(plan, await _capacity(sides)))
        async with _both(tree, folder, of_level[0], labels) as sides:
            saturated = [
                await _rounds(plan, {name: side.fed(packets) for name, side in sides.items()}, _saturated(plan))
                for packets in of_level
            ]
    levels = [{"level": level, **saturated_summary(each)} for level, each in zip(LEVELS, saturated, strict=True)]
    claimed = levels[LEVELS.index(CLAIMED_LEVEL)]
    return {
        "against": commit,
        **at_load_summary(at_load),
        "near_free_model": {
            **{name: claimed[name] for name in ("cpu_ratio_against", "path_ratio_against", "redis_ratio_against")},
            "level_against": CLAIMED_LEVEL,
            "levels_against": levels,
        },
        "load_average_against": os.getloadavg()[0],
    }


def saturated_summary(rounds: Sequence[Round]) -> dict[str, Any]:
    """Medians of the rounds' ratios, present by REV, and the worst and the best of them."""
    cpu = _ratios(rounds, "cpu_ms")
    return {
        "cpu_ratio_against": median_of(cpu),
        "cpu_ratio_against_range": [min(cpu), max(cpu)],
        "path_ratio_against": median_of(_ratios(rounds, "frames_per_s")),
        "redis_ratio_against": median_of(_ratios(rounds, "redis_ms")),
        "throughput_ratio": median_of([r["present"]["frames_per_s"] / r["present"]["straight_per_s"] for r in rounds]),
        "each_side": _each_side(rounds),
    }


def at_load_summary(rounds: Sequence[Round]) -> dict[str, Any]:
    """The same at 70 % of the real decoder's capacity."""
    cpu = _ratios(rounds, "cpu_ms")
    return {
        "cpu_ratio_against_at_load": median_of(cpu),
        "cpu_ratio_against_at_load_range": [min(cpu), max(cpu)],
        "redis_ratio_against_at_load": median_of(_ratios(rounds, "redis_ms")),
        "p50_ms_more_than_against": median_of(_differences(rounds, "p50_ms")),
        "p99_ms_more_than_against": median_of(_differences(rounds, "p99_ms")),
        "at_load_against": _each_side(rounds),
    }


def cpu_ms(path: dict[str, Any], straight_triton_ms: float) -> float:
    """Processor time a frame: dispatcher, Redis, and what Triton takes beyond the same frames driven straight at it."""
    return float(path["cpu_ms_outside_triton"] + max(0.0, path["cpu_ms"]["triton"] - straight_triton_ms))


@asynccontextmanager
async def _both(
    tree: Path, folder: Path, packets: Packets, labels: NDArray[np.uint8] | None
) -> AsyncIterator[dict[str, Sides]]:
    """REV's parts and the present ones, side by side; with ``labels`` the model is one that costs nothing."""
    with ExitStack() as stacks:
        async with AsyncExitStack() as sides:
            found = {}
            for name, code in (("rev", tree), ("present", ROOT)):
                stack = stacks.enter_context(running(packets.bundle, folder / name, labels=labels, tree=code))
                found[name] = await sides.enter_async_context(connected(stack, packets))
            yield found


def _theirs(tree: Path, bundle: Path) -> Bundle:
    """The bundle as REV has it, if it belongs to the tree."""
    place = bundle.resolve()
    return Bundle.open(tree / place.relative_to(ROOT) if place.is_relative_to(ROOT) else place)


async def _capacity(sides: dict[str, Sides]) -> float:
    """Frames/s straight at the real decoder."""
    return (await sides["present"].straight_throughput(8 * MAX_BATCH))["frames_per_s"]


async def _rounds(
    plan: Plan, sides: dict[str, Sides], measure: Callable[[Sides, int], Awaitable[dict[str, Any]]]
) -> list[Round]:
    """Rounds in turn; who begins alternates. The first is not counted: it warms both up."""
    rounds: list[Round] = []
    for number in range(plan.rounds + 1):
        found = {}
        for name in ("rev", "present") if number % 2 else ("present", "rev"):
            found[name] = await measure(sides[name], number)
        rounds.append(found)
    return rounds[1:]


def _saturated(plan: Plan) -> Callable[[Sides, int], Awaitable[dict[str, Any]]]:
    async def measure(sides: Sides, _: int) -> dict[str, Any]:
        straight = await sides.straight_throughput(plan.frames)
        path = await sides.path_throughput(whole_batches(plan.frames))
        return {
            "frames_per_s": path["frames_per_s"],
            "straight_per_s": straight["frames_per_s"],
            "mean_batch": path["mean_batch"],
            **_split(path, straight["cpu_ms_triton"]),
        }

    return measure


def _at_load(plan: Plan, capacity: float) -> Callable[[Sides, int], Awaitable[dict[str, Any]]]:
    async def measure(sides: Sides, number: int) -> dict[str, Any]:
        arrivals = poisson_arrivals(LOAD * capacity, plan.latency_s, STREAMS, _SEED + number)
        path = await sides.path_latency(arrivals)
        return {
            "offered_frames_per_s": LOAD * capacity,
            **{name: path[name] for name in ("p50_ms", "p99_ms", "mean_batch")},
            **_split(path, float("inf")),
        }

    return measure


def _split(path: dict[str, Any], straight_triton_ms: float) -> dict[str, float]:
    parts = path["cpu_ms"]
    return {
        "cpu_ms": cpu_ms(path, straight_triton_ms),
        "dispatcher_ms": parts["loop"] + parts["threads"],
        "redis_ms": parts["redis"],
        "triton_ms": parts["triton"],
    }


def _ratios(rounds: Sequence[Round], figure: str) -> list[float]:
    return [r["present"][figure] / r["rev"][figure] for r in rounds]


def _differences(rounds: Sequence[Round], figure: str) -> list[float]:
    return [r["present"][figure] - r["rev"][figure] for r in rounds]


def _each_side(rounds: Sequence[Round]) -> dict[str, dict[str, float]]:
    """The medians of each side's own figures."""
    return {
        side: {figure: median_of([r[side][figure] for r in rounds]) for figure in rounds[0][side]}
        for side in ("rev", "present")
    }
