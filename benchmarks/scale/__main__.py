"""The real stack from one stream to many and back: with more servers of a quarter core each, and with more instances.

Example: python -m benchmarks.scale --quick
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.pipeline.packets import Packets
from benchmarks.record import RESULTS, write_result
from benchmarks.scale.account import rises
from benchmarks.scale.parts import connected, running
from benchmarks.scale.plot import draw, panels_of
from benchmarks.scale.questions import Bench, Ramp, follow, foresight, throughput, until_ready
from narrows.contract.bundle import Bundle
from orchestrator.dispatch import Store
from orchestrator.scaling.engines.instances import TritonInstances
from orchestrator.scaling.engines.local import LocalServers

_SERVERS, _QUOTA = 4, 0.25
_GUESS_PER_S = {"servers": 20.0, "instances": 70.0}
_FRAMES_PER_S = 1.0
_FULL_FOR_ONE = 0.95  # so much that the autoscaler tries a second instance, whatever that brings
_FULL_LOAD = {"servers": 0.75, "instances": 0.6}  # the parts and the cameras need the processor too
_WITHIN = 0.15
_SHORTER = 0.75  # there are fewer instances than servers to be had
_PATIENCE = (  # shorter than by default: a run takes minutes, not hours
    *("--stabilisation-s", "8", "--policy", "first_stabilisation_s=8"),
    *("--instance-stabilisation-s", "8", "--instance-settle-s", "6"),
)


@dataclass(frozen=True)
class Plan:
    """How long to look, in seconds."""

    throughput_s: float
    learn_s: float
    check_s: float
    up_s: float
    hold_s: float
    down_s: float
    tail_s: float


FULL = Plan(5.0, 60.0, 20.0, 40.0, 15.0, 25.0, 30.0)
QUICK = Plan(3.0, 20.0, 10.0, 12.0, 6.0, 10.0, 15.0)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench-scale", description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", type=Path, default=Path("bundles/demo"))
    parser.add_argument("--frames", type=Path, default=Path("samples"), help="folder of pictures, searched through")
    parser.add_argument("--only", choices=("servers", "instances"), help="one of the two ways to scale")
    parser.add_argument("--quick", action="store_true", help="shorter; writes nothing but the picture")
    parser.add_argument("--run-folder", type=Path, default=Path("build/bench-scale"))
    options = parser.parse_args()
    plan, bundle = (QUICK if options.quick else FULL), Bundle.open(options.bundle)
    packets = Packets.encode(bundle, options.frames)
    figures: dict[str, Any] = {"bundle": bundle.hex_id, "load_average_before": os.getloadavg()[0]}
    for name, scenario in (("servers", _servers), ("instances", _instances)):
        if options.only in (None, name):
            figures[name] = asyncio.run(scenario(plan, bundle, packets, options.run_folder / name))
    figures["load_average_after"] = os.getloadavg()[0]
    show(figures)
    picture = [panel for name in ("servers", "instances") if name in figures for panel in panels_of(
        f"scaling by {name}", name, figures[name])]  # fmt: skip
    whole = not options.quick and options.only is None
    print(draw(picture, (RESULTS if whole else options.run_folder) / "scale.png"))
    if whole:
        print(write_result("scale", "make bench-scale", figures))
    return 0 if sound(figures) else 1


async def _servers(plan: Plan, bundle: Bundle, packets: Packets, folder: Path) -> dict[str, Any]:
    """Servers of a quarter of a core each, on slots."""
    with running(bundle, folder, slots=_SERVERS, cpu_quota=_QUOTA) as parts:
        store = await connected(parts)
        try:
            bench = Bench(parts, store, packets)
            level = partial(_have_servers, store)
            full = await throughput(bench, level, range(1, _SERVERS + 1), _GUESS_PER_S["servers"], plan.throughput_s)
            await level(1)
            half = max(1, round(0.4 * full["frames_per_s"][1] / _FRAMES_PER_S))
            model = await foresight(bench, half, _FRAMES_PER_S, plan.learn_s, plan.check_s)
            ramp = _ramp(plan, _FULL_LOAD["servers"] * full["frames_per_s"][_SERVERS])
            options = ("--max-servers", str(_SERVERS), "--no-instance-scaling", *_PATIENCE)
            return {
                "cpu_quota": _QUOTA,
                "throughput": full,
                "foresight": model,
                "ramp": await follow(bench, ramp, *options, instances=False),
            }
        finally:
            await store.close()


async def _instances(plan: Plan, bundle: Bundle, packets: Packets, folder: Path) -> dict[str, Any]:
    """Instances in one server that may use the whole machine."""
    most = (os.cpu_count() or 1) + 1  # one more than can run at once: what it adds is seen too
    with running(bundle, folder, slots=1, cpu_quota=None) as parts:
        store = await connected(parts)
        servers = (await LocalServers(store).observe()).servers
        triton = TritonInstances(lambda: servers)
        try:
            bench = Bench(parts, store, packets)
            counts = range(1, most + 1)
            full = await throughput(bench, triton.set_instances, counts, _GUESS_PER_S["instances"], plan.throughput_s)
            await triton.set_instances(1)
            rates = full["frames_per_s"]
            ramp = _ramp(plan, max(_FULL_LOAD["instances"] * rates[most], _FULL_FOR_ONE * rates[1]), share=_SHORTER)
            options = ("--max-servers", "1", "--max-instances", str(most), *_PATIENCE)
            return {"throughput": full, "ramp": await follow(bench, ramp, *options, instances=True)}
        finally:
            await triton.close()
            await store.close()


async def _have_servers(store: Store, count: int) -> None:
    engine = LocalServers(store)
    await engine.scale(count, await engine.observe(), token=0)
    await until_ready(store, count)


def _ramp(plan: Plan, most_per_s: float, *, share: float = 1.0) -> Ramp:
    """To as many cameras as send so many frames, in a share of the time planned."""
    most = max(2, round(most_per_s / _FRAMES_PER_S))
    return Ramp(
        up_s=share * plan.up_s,
        hold_s=share * plan.hold_s,
        down_s=share * plan.down_s,
        tail_s=share * plan.tail_s,
        most=most,
        frames_per_s=_FRAMES_PER_S,
    )


def sound(figures: Mapping[str, Any]) -> bool:
    """Whether each replica added, nothing was lost, and the model foresaw what came."""
    results = [figures[name] for name in ("servers", "instances") if name in figures]
    whole = all(part["lost"] == 0 for result in results for part in result.values() if isinstance(part, dict))
    added = "servers" not in figures or rises(figures["servers"]["throughput"]["frames_per_s"])
    foreseen = "servers" not in figures or figures["servers"]["foresight"]["prediction_error_2x"] <= _WITHIN
    return whole and added and foreseen


def show(figures: Mapping[str, Any]) -> None:
    """Print what was measured."""
    console = Console(width=110 if not sys.stdout.isatty() else None)
    for name in ("servers", "instances"):
        if name not in figures:
            continue
        result = figures[name]
        table = Table(name, "frames/s", "a replica more")
        before = 0.0
        for count, rate in result["throughput"]["frames_per_s"].items():
            table.add_row(str(count), f"{rate:.1f}", f"+{rate - before:.1f}")
            before = rate
        console.print(table)
        ramp = result["ramp"]
        console.print(
            f"1 to {ramp['most']} cameras and back: {ramp['sent']} frames, {ramp['lost']} lost; up to "
            f"{ramp['most_replicas']} {name}, {ramp['changes']} changes; p95 {ramp['p95_ms']:.0f} ms"
        )
        if "foresight" in result:
            model = result["foresight"]
            console.print(
                f"load at {2 * model['streams']} cameras: {model['foreseen_load']:.3f} foreseen after "
                f"{model['learned_s']:.0f} s with {model['streams']}, {model['measured_load']:.3f} measured: "
                f"prediction_error_2x {model['prediction_error_2x']:.1%}; a server does "
                f"{model['learned_frames_per_s']:.1f} frames/s as learned"
            )
    print(f"load average {figures['load_average_before']:.2f} before, {figures['load_average_after']:.2f} after")


if __name__ == "__main__":
    sys.exit(main())
