"""The figures of ``benchmarks/results/edge.json`` in documents."""

from __future__ import annotations

from typing import Any

from benchmarks.markdown import load, table


def render(result: dict[str, Any]) -> str:
    """The camera's program beside its aims."""
    aims = result["aims"]
    loss = result["int8_loss"]
    rows = [
        ["frames/s, whole program", f"{result['frames_per_s']:.1f}", f"≥ {aims['frames_per_s']:.0f}"],
        ["frames/s, network and coder alone", f"{result['encode_frames_per_s']:.1f}", ""],
        *([f"{part}, ms a frame", f"{result[f'{part}_ms']:.2f}", ""] for part in ("network", "coder", "rest")),
        ["resident memory at most, MB", f"{result['rss_mb']:.0f}", f"≤ {aims['rss_mb']:.0f}"],
        ["installed, MB", f"{result['installed_mb']:.0f}", f"≤ {aims['installed_mb']:.0f}"],
        ["more with video, MB", f"{result['video_mb']:.0f}", f"≤ {aims['video_mb']:.0f}"],
        ["mIoU lost by int8, at most", "" if loss is None else f"{loss:.2%}", f"≤ {aims['int8_loss']:.0%}"],
    ]
    program = table([f"one camera, {result['input']}, one core", "measured", "aim"], rows)
    return "\n\n".join([program, *_encoders(result), f"{load(result)}."])


def _encoders(result: dict[str, Any]) -> list[str]:
    """What each shipped bundle asks of a camera that has a share of a core for it."""
    rows = [
        [
            f"`{row['bundle']}`",
            f"{row['encoder_bytes'] / 1e6:.2f}",
            f"{row['processor_ms']:.1f}",
            f"{row['latency_ms']:.0f}",
            f"{row['frames_per_s']:.1f}",
        ]
        for row in result.get("encoders_at_share", [])
    ]
    if not rows:
        return []
    share = f"{result['share']:g} core"
    head = ["bundle", "encoder, MB", "processor, ms", f"ms a frame at {share}", f"frames/s at {share}"]
    return [table(head, rows)]
