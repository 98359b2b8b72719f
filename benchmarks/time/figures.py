"""The figures of ``benchmarks/results/time.json`` in documents."""

from __future__ import annotations

from typing import Any

from benchmarks.markdown import table


def render(result: dict[str, Any]) -> str:
    """Keys and predictions beside keys alone, clip by clip."""
    rows = [
        [
            f"{r['clip']}, noise {r['noise']:g}" if r["noise"] else r["clip"],
            str(r["frames"]),
            f"{r['key_bytes']:,.0f}",
            f"{r['bytes']:,.0f}",
            f"{r['saved']:.1%}",
            f"{r['decode_ms'] / r['key_decode_ms']:.2f}",
        ]
        for r in result["clips"]
    ]
    return table(["clip", "frames", "all K, bytes", "K and P, bytes", "saved", "CPU to decode, ratio"], rows)
