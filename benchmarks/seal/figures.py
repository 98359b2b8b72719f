"""The figures of ``benchmarks/results/seal.json`` in documents."""

from __future__ import annotations

from typing import Any

from benchmarks.markdown import table


def render(result: dict[str, Any]) -> str:
    """A packet's way with and without a seal."""
    rows = [
        [r["coder"], f"{r['bytes']:,.0f}", f"{r['encode_ms']:.3f}", f"{r['decode_ms']:.3f}"] for r in result["sides"]
    ]
    return table(["packets", "bytes", "latent to packet, CPU ms", "packet to symbols, CPU ms"], rows)
