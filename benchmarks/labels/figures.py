"""The figures of ``benchmarks/results/labels.json`` in documents."""

from __future__ import annotations

from typing import Any

from benchmarks.markdown import ms, table


def render(result: dict[str, Any]) -> str:
    """Bits of label maps by size and coder, with the accuracy that each size keeps, and time at full size."""
    sizes = result["sizes"]
    bits = [[name, *(f"{row['bits_per_pixel'][name]:.4f}" for row in sizes)] for name in sizes[0]["bits_per_pixel"]]
    bits.append(["mIoU", *(f"{row['miou']:.1%}" for row in sizes)])
    times = [[r["coder"], f"{r['bytes']:,.0f}", ms(r["encode_ms"]), ms(r["decode_ms"])] for r in result["timed"]]
    ratio = result["time_over_symbol_coder"]
    return "\n\n".join(
        [
            table(["bits per pixel of the full picture", *(row["size"] for row in sizes)], bits),
            table(["at full size", "bytes", "encode, ms", "decode, ms"], times),
            f"`time_over_symbol_coder`: encode {ratio['encode']:.2f}, decode {ratio['decode']:.2f}.",
        ]
    )
