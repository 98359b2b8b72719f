"""The figures of ``benchmarks/results/scale.json`` in documents."""

from __future__ import annotations

from typing import Any

from benchmarks.markdown import Row, load, rate, table


def render(result: dict[str, Any]) -> str:
    """Frames a second by replicas, cameras that come and go, and the load foreseen."""
    ways = ("servers", "instances")
    counts = sorted({n for way in ways for n in result[way]["throughput"]["frames_per_s"]}, key=int)
    rates = [[n, *(rate(result[way]["throughput"]["frames_per_s"].get(n)) for way in ways)] for n in counts]
    ramps = [result[way]["ramp"] for way in ways]
    rows: list[Row] = [
        ["cameras at most", *(str(ramp["most"]) for ramp in ramps)],
        ["frames sent", *(f"{ramp['sent']:,}" for ramp in ramps)],
        ["frames lost", *(str(ramp["lost"]) for ramp in ramps)],
        ["replicas at most", *(str(ramp["most_replicas"]) for ramp in ramps)],
        ["changes", *(str(ramp["changes"]) for ramp in ramps)],
        *([f"p{p}, ms", *(f"{ramp[f'p{p}_ms']:,.0f}" for ramp in ramps)] for p in (50, 95, 99)),
    ]
    model = result["servers"]["foresight"]
    foreseen = (
        f"After {model['learned_s']:.0f} s with {model['streams']} cameras the load of {2 * model['streams']} was "
        f"foreseen as {model['foreseen_load']:.3f}; measured, {model['measured_load']:.3f} "
        f"(`prediction_error_2x` {model['prediction_error_2x']:.1%})."
    )
    quota = f"servers of {result['servers']['cpu_quota']:g} cores"
    parts = [
        table(["frames/s with", quota, "instances in one server"], rates),
        table(["cameras come and go", quota, "instances in one server"], rows),
        foreseen,
        f"Each camera sends {ramps[0]['frames_per_s']:g} frame/s and wants every mask; {load(result)}.",
    ]
    return "\n\n".join(parts)
