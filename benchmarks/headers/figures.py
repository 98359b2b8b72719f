"""The figures of ``benchmarks/results/headers.json`` in documents."""

from __future__ import annotations

from typing import Any

from benchmarks.markdown import table


def render(result: dict[str, Any]) -> str:
    """Packets of both formats, and the share of them that is no payload."""
    names = ("format_1", "format_2", "format_1_sealed", "format_2_sealed")
    rows = [
        [
            f"level {r['level']}",
            f"{r['payload_bytes']:,.0f}",
            *(f"{r[f'{name}_bytes']:,.0f} ({r[f'{name}_header_share']:.0%})" for name in names),
        ]
        for r in result["levels"]
    ]
    head = ["packets of", "payload, bytes", "format 1", "format 2", "format 1, sealed", "format 2, sealed"]
    return table(head, rows) + (
        f"\n\nMean bytes, and the share that is no payload, of {result['frames']} frames of "
        f"{len(result['clips'])} clips; "
        f"a key frame every {result['key_period_s']:g} s, contexts are counted."
    )
