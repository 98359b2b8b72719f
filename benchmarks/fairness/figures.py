"""The figures of ``benchmarks/results/fairness.json`` in documents."""

from __future__ import annotations

from typing import Any

from benchmarks.markdown import load, table


def render(result: dict[str, Any]) -> str:
    """The others beside a flood; masks by weight."""
    flood = result["flood"]
    beside = [
        ["without the flood", f"{flood['calm_p95_ms']:.1f}"],
        [f"one of {flood['cameras']} cameras at 100 times its rate", f"{flood['flooded_p95_ms']:.1f}"],
        ["ratio", f"{flood['ratio']:.2f}"],
    ]
    shares = [
        [
            f"weight {complete['weight']:g}",
            *(f"{row['share']:.1%}" for row in (complete, realtime)),
            f"{complete['due']:.1%}",
        ]
        for complete, realtime in zip(result["weights"]["shares"], result["shedding"]["shares"], strict=True)
    ]
    shares += [
        [f"worst {one}", *(f"{result[which][f'worst_{one}']:.1%} off" for which in ("weights", "shedding")), ""]
        for one in ("group", "stream")
    ]
    parts = [
        table(["the others' p95", "ms"], beside),
        table(["share of the masks under overload", "`complete`", "`realtime`", "due"], shares),
        f"Medians of {result['rounds']} rounds; {load(result)}.",
    ]
    return "\n\n".join(parts)
