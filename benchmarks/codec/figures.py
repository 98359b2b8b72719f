"""The figures of ``benchmarks/results/codec.json`` in documents."""

from __future__ import annotations

from typing import Any

from benchmarks.markdown import ms, table


def render(result: dict[str, Any]) -> str:
    """Our coder beside the rivals."""
    rows = [[r["coder"], f"{r['bytes']:,.0f}", ms(r["encode_ms"]), ms(r["decode_ms"])] for r in result["rivals"]]
    return table(["one frame through", "bytes", "encode, ms", "decode, ms"], rows)
