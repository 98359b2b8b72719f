"""The figures of ``benchmarks/results/inversion.json`` in documents."""

from __future__ import annotations

from typing import Any

from benchmarks.markdown import table


def render(result: dict[str, Any]) -> str:
    """What is guessed back from open packets."""
    mean = result["mean_picture"]
    rows = [
        [f"level {r['level']}", f"{r['packet_bytes']:,.0f}", f"{r['psnr_db']:.1f}", f"{r['ssim']:.2f}"]
        for r in result["levels"]
    ]
    rows.append(["nothing: the mean picture", "", f"{mean['psnr_db']:.1f}", f"{mean['ssim']:.2f}"])
    return (
        table(["guessed from", "packet, bytes", "PSNR, dB", "SSIM"], rows)
        + f"\n\nA network of {result['parameters'] / 1e6:.1f} million parameters, trained for {result['steps']} steps "
        f"on {result['train_frames']} frames, judged on {result['val_frames']} others."
    )
