"""Bytes at the cut and accuracy of networks that are pruned, narrowed by a learned pair, or both, beside themselves.

Trainings are kept in ``runs/split_compress``: what was stopped goes on. Takes hours on two cores.

Example: python -m benchmarks.split_compress --only classifier
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.record import RESULTS, write_result
from benchmarks.split_bits.pictures import Sample
from benchmarks.split_bits.search import Bench, CutBench, Tried
from benchmarks.split_compress.plans import DESIGNS, UNMODIFIED, Plan, plans, written_pictures
from narrows.models.bottleneck.compress import compress
from narrows.models.bottleneck.settings import Request, Settings
from narrows.models.split.cuts import cut_at
from narrows.models.split.halves import Runner, Values, take_apart
from narrows.models.split.network import Network
from narrows.models.split.opening import open_network

RUNS = Path("runs/split_compress")
_PICTURES = 1000
_HELD_BACK = 0.5
"""Points that a precision may lose on the pictures that choose it, as in ``split_bits``."""
_TIMED = 15
_FITTED = 12
"""Pictures of ``--quick``; else as many as ``split_bits`` finds precisions on: a third to fit, the others to choose."""
Say = Callable[[str], None]


def trained(plan: Plan, data: Path, name: str, settings: Settings, runs: Path, pictures: int) -> Path:
    """The network of a design, trained to the end."""
    folder = runs / f"{plan.subject.name.split(' ')[0]}-{name.replace(' ', '-')}"
    out = folder / "out.onnx"
    if not out.is_file():
        source = written_pictures(plan, data, runs / "pictures", pictures)
        request = Request(plan.subject.path, plan.normalisation, source, folder, out)
        found = compress(request, settings, lambda line: print(f"  {name}: {line}", flush=True))
        print(f"  {name}: {found}", flush=True)
    return out


def judged(bench: Bench, names: Sequence[str]) -> dict[str, Any]:
    """The coarsest precision that holds on the pictures that choose it, on the held-out ones."""
    cut = cut_at(bench.network, names)
    cut_bench = CutBench(bench, cut)
    tried = cut_bench.tried(sensitive=1)
    found = cut_bench.judged(chosen(tried).rounding)
    return found | {
        "tensors": [f"{tensor.name} {'x'.join(map(str, tensor.shape[1:]))}" for tensor in cut.tensors],
        "head_macs": cut.head_macs,
        "tail_macs": cut.tail_macs,
        "pictures": len(bench.held_out),
    }


def chosen(tried: Sequence[Tried]) -> Tried:
    """The first that loses little; where none does, that which loses least."""
    holding = [each for each in tried if each.lost_points <= _HELD_BACK]
    return holding[0] if holding else min(tried, key=lambda each: each.lost_points)


def head_ms(halves: Sequence[tuple[Network, Sequence[str]]], feed: Values) -> list[float]:
    """Processor time of each head, one thread, the heads in turn: medians, so that other programs count little."""
    heads = [Runner(take_apart(network, cut_at(network, names)).head) for network, names in halves]
    spent: list[list[float]] = [[] for _ in heads]
    for _ in range(_TIMED):
        for head, times in zip(heads, spent, strict=True):
            began = time.process_time()
            head(feed)
            times.append((time.process_time() - began) * 1e3)
    return [round(float(np.median(times)), 2) for times in spent]


def narrow_names(network: Network, settings: Settings) -> list[str]:
    return [name for name in network.tensors if name.startswith("narrow_")] or list(settings.cut)


def measured(plan: Plan, data: Path, runs: Path, wanted: Sequence[str], say: Say, *, quick: bool) -> dict[str, Any]:
    """The wanted designs of a network; those that were trained or judged before are taken from ``runs``."""
    original = open_network(plan.subject.path)
    share = 0.02 if quick else plan.share
    fitted: Sequence[Sample] = plan.subject.calibration(data, _FITTED if quick else plan.subject.calibrated)
    held_out = plan.subject.held_out(data, max(8, int(plan.subject.pictures * share)))
    rows, halves = [], []
    designs: dict[str, Settings | None] = {UNMODIFIED: None, **plan.designs()}
    for name, settings in designs.items():
        if name not in wanted:
            continue
        network, names = original, list(plan.settings.cut)
        if settings is not None:
            asked = replace(settings, steps=2, batch=1) if quick else settings
            network = open_network(trained(plan, data, name, asked, runs, 40 if quick else _PICTURES))
            names = narrow_names(network, settings)
        kept = runs / f"{plan.subject.name.split(' ')[0]}-{name.replace(' ', '-')}.json"
        if not kept.is_file():
            bench = Bench(
                plan.subject, network, fitted[::3], [each for n, each in enumerate(fitted) if n % 3], held_out, original
            )
            row = {"design": name} | judged(bench, names)
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_text(json.dumps(row) + "\n")
        rows.append(json.loads(kept.read_text()))
        halves.append((network, names))
        say(line(rows[-1]))
    feed = {original.input.name: plan.subject.feed(held_out[0].picture)}
    for row, spent_ms in zip(rows, head_ms(halves, feed), strict=True):
        row["head_ms"] = spent_ms
        say(f"  {row['design']:>13}: {spent_ms} ms of processor at the device")
    settings = plan.settings
    return {
        "name": plan.subject.name, "measure": plan.subject.judge.measure, "positives_are": plan.subject.judge.positives,
        "pruned_share": settings.prune, "channels": settings.channels, "stride": settings.stride,
        "steps": settings.steps, "batch": settings.batch, "learn_from": settings.learn_from, "designs": rows,
    }  # fmt: skip


def line(row: dict[str, Any]) -> str:
    low, high = row["interval"]
    return (
        f"  {row['design']:>13}: {row['bytes']:9,.0f} bytes ({row['bits']} bits by {row['steps']}), "
        f"{row['lost_points']:6.2f} points lost ({low:.2f} to {high:.2f}) on {row['positives']}, "
        f"{row['head_macs'] / 1e6:,.0f} M MACs at the device"
    )


def store(found: dict[str, Any]) -> None:
    """Put a network's figures in the place of its former ones."""
    path = RESULTS / "split-compress.json"
    former = json.loads(path.read_text())["networks"] if path.is_file() else []
    networks = [each for each in former if each["name"] != found["name"]] + [found]
    ordered = sorted(networks, key=lambda each: each["name"])
    write_result("split-compress", "make bench-split-compress", {"networks": ordered})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="pictures and weights")
    parser.add_argument("--only", default="", help="networks whose names begin so")
    parser.add_argument("--runs", type=Path, default=RUNS, help="where trainings and rows are kept")
    parser.add_argument("--designs", default=",".join(DESIGNS), help="those to compare, with commas")
    parser.add_argument("--effort", type=float, default=1.0, help="of the planned steps of training")
    parser.add_argument("--quick", action="store_true", help="two steps and a few pictures; nothing is stored")
    arguments = parser.parse_args()
    runs = arguments.runs / "quick" if arguments.quick else arguments.runs
    for plan in plans(arguments.data, arguments.effort):
        if not plan.subject.name.startswith(arguments.only):
            continue
        if not plan.subject.path.is_file():
            print(f"{plan.subject.name}: skipped, {plan.subject.path} is not here (make fetch-networks)")
            continue
        print(plan.subject.name, flush=True)
        wanted = arguments.designs.split(",")
        quick = arguments.quick
        found = measured(plan, arguments.data, runs, wanted, lambda text: print(text, flush=True), quick=quick)
        if not arguments.quick:
            store(found)


if __name__ == "__main__":
    main()
