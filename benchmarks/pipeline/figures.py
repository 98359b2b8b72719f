"""The figures of ``benchmarks/results/pipeline.json`` in documents."""

from __future__ import annotations

from typing import Any

from benchmarks.markdown import Row, load, table


def render(result: dict[str, Any]) -> str:
    """The path beside a plain loop, where a frame's time goes, and growth with the streams."""
    free = result["near_free_model"]
    compared = [
        ["frames/s, straight at Triton", *(f"{r['straight_frames_per_s']:,.0f}" for r in (result, free))],
        ["frames/s, through the path", *(f"{r['path_frames_per_s']:,.0f}" for r in (result, free))],
        ["`throughput_ratio`", *(f"{r['throughput_ratio']:.2f}" for r in (result, free))],
        ["`cpu_ms_outside_triton` per frame", *(f"{r['cpu_ms_outside_triton']:.2f}" for r in (result, free))],
        ["frames/s per core outside Triton", *(f"{r['frames_per_s_per_core']:,.0f}" for r in (result, free))],
        ["CPU ms: event loop", *(f"{r['cpu_ms']['loop']:.2f}" for r in (result, free))],
        ["CPU ms: other threads", *(f"{r['cpu_ms']['threads']:.2f}" for r in (result, free))],
        ["CPU ms: Redis", *(f"{r['cpu_ms']['redis']:.2f}" for r in (result, free))],
        ["CPU ms: Triton", *(f"{r['cpu_ms']['triton']:.2f}" for r in (result, free))],
    ]
    late = [
        [
            name,
            *(f"{result[f'{side}_ms_{name}']:.1f}" for side in ("straight_latency", "path_latency", "added_latency")),
        ]
        for name in ("p50", "p99")
    ]
    parts = [
        table(["saturated", "the bundle's decoder", "a near-free model"], compared),
        table(["latency at 70 % load, ms", "straight", "path", "added"], late),
        table(["stage at 70 % load", "mean ms"], _stages(result["stages_ms_at_load"])),
        table(["each piece alone", "ms a frame"], [[k, f"{v:.3f}"] for k, v in result["floor_ms"].items()]),
        _growth(result["growth"]),
        *([_against(result)] if "against" in result else []),
        f"Medians of {result['rounds']} rounds of both sides in turn; {load(result)}.",
    ]
    return "\n\n".join(parts)


def _against(result: dict[str, Any]) -> str:
    levels = result["near_free_model"]["levels_against"]
    rows = [
        ["processor time outside Triton", *(_spread(each, "cpu_ratio_against") for each in levels), "0.30, 0.25"],
        ["that of Redis", *(f"{each['redis_ratio_against']:.2f}" for each in levels), "0.6"],
        ["frames/s through the path", *(f"{each['path_ratio_against']:.2f}" for each in levels), "4"],
        ["`throughput_ratio`, by itself", *(f"{each['throughput_ratio']:.2f}" for each in levels), "0.3"],
    ]
    at_load = (
        f"At 70 % of the real decoder's capacity: processor time {_spread(result, 'cpu_ratio_against_at_load')} of it "
        f"(aim 0.4), p50 {result['p50_ms_more_than_against']:+.1f} ms, "
        f"p99 {result['p99_ms_more_than_against']:+.1f} ms."
    )
    head = [
        f"near-free model, present by {result['against'][:7]}",
        *(f"level {each['level']}" for each in levels),
        "aim",
    ]
    return f"{table(head, rows)}\n\n{at_load}"


def _spread(figures: dict[str, Any], name: str) -> str:
    least, most = figures[f"{name}_range"]
    return f"{figures[name]:.2f} ({least:.2f}-{most:.2f})"


def _growth(rows: list[dict[str, Any]]) -> str:
    def line(row: dict[str, Any]) -> Row:
        at_load, full = row["at_load"], row["full"]
        numbers = [at_load["p50_ms"], at_load["cpu_ms_outside_triton"], full["whole_frames_per_s"]]
        resident = [f"{row['resident_mb']:,.0f}"] if "resident_mb" in row else []
        return [
            f"{row['streams']:,}",
            *(f"{n:,.1f}" for n in numbers),
            f"{full['cpu_ms_outside_triton']:.2f}",
            *resident,
        ]

    offered = f"at {rows[0]['offered_frames_per_s']:.0f} frames/s: p50, ms"
    head = ["streams in one dispatcher", offered, "CPU ms a frame", "saturated: frames/s", "CPU ms a frame"]
    head += ["resident MB"] if "resident_mb" in rows[0] else []
    return table(head, [line(row) for row in rows])


def _stages(means_ms: dict[str, float]) -> list[Row]:
    """All but the uplink: these packets were made long before they were sent."""
    return [[name, f"{ms:.2f}"] for name, ms in means_ms.items() if name != "uplink"]
