"""The figures of ``benchmarks/results/chaos.json`` and ``chaos-cluster.json`` in documents."""

from __future__ import annotations

from collections import Counter
from typing import Any

from benchmarks.markdown import table


def render(result: dict[str, Any]) -> str:
    """Service after each injected fault, and the accounts."""
    rows = [
        [name, str(len(seconds)), f"{sorted(seconds)[len(seconds) // 2]:.1f}", f"{max(seconds):.1f}"]
        for name, seconds in result["back_s"].items()
    ]
    accounts, without = result["accounts"], Counter[str]()
    for line in accounts:
        without.update({f"refused as {reason}": count for reason, count in line["refusals"].items()})
        without["skipped"] += line["skipped"]
    ends = ", ".join(f"{count:,} {how}" for how, count in sorted(without.items()) if count)
    sent, lost, unaccounted = (sum(line[name] for line in accounts) for name in ("sent", "lost", "unaccounted"))
    text = (
        f"{result['kills']} faults in {result['seconds']:,.0f} s, {result['overlapping']} of them overlapping, on "
        f"{result['dispatchers']} dispatchers and {result['tritons']} Tritons{_nodes(result)}: of {sent:,} frames "
        f"{result['masks_compared']:,} ended in masks ({result['masks_wrong']} streams with a wrong one), the others "
        f"{ends or 'none'}; {lost} lost{_of_replication(result)}, {unaccounted} unaccounted for. "
        f"{'The accounts of every stream agree' if result['sound'] else 'The accounts do not agree'}."
    )
    return table(["injected fault", "times", "service back, median s", "worst s"], rows) + f"\n\n{text}"


def _nodes(result: dict[str, Any]) -> str:
    return f" and {result['nodes']} nodes of a Redis Cluster" if "nodes" in result else ""


def _of_replication(result: dict[str, Any]) -> str:
    """What a single Redis has not: writes that a master acknowledged and its replica never had."""
    if "lost_acknowledged" not in result:
        return ""
    rolled_back = result["ends_rolled_back"]
    return f" (acknowledged, not copied before the master died; with {rolled_back} ends that had been read)"
