"""The figures as tables for people."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table


def show(figures: dict[str, Any]) -> None:
    """Print what was measured."""
    console = Console(width=110)
    for name, found in (("the bundle's decoder", figures), ("a near-free model", figures.get("near_free_model", {}))):
        if "throughput_ratio" in found:
            console.print(_compared(name, found))
            console.print(_split(name, found))
    if "floor_ms" in figures:
        console.print(_pairs("one frame, each piece alone", "ms", figures["floor_ms"]))
    if "growth" in figures:
        console.print(_growth(figures["growth"]))
    for name in ("growth_cpu_ratio", "growth_cpu_ratio_at_load"):
        if name in figures:
            console.print(f"{name} {figures[name]:.2f}")
    if "against" in figures:
        _show_against(console, figures)
    print(f"load average {figures['load_average_before']:.2f} before, {figures['load_average_after']:.2f} after")


def _compared(name: str, found: dict[str, Any]) -> Table:
    table = Table(name, "straight", "path", "")
    table.add_row("frames/s", f"{found['straight_frames_per_s']:.1f}", f"{found['path_frames_per_s']:.1f}",
                  f"throughput_ratio {found['throughput_ratio']:.3f}")  # fmt: skip
    for percent in ("p50", "p99"):
        if f"added_latency_ms_{percent}" in found:
            table.add_row(f"latency at 70 % load, {percent}, ms", f"{found[f'straight_latency_ms_{percent}']:.1f}",
                          f"{found[f'path_latency_ms_{percent}']:.1f}",
                          f"added {found[f'added_latency_ms_{percent}']:.1f}")  # fmt: skip
    table.add_row("CPU ms outside Triton", "", f"{found['cpu_ms_outside_triton']:.2f}",
                  f"{found['frames_per_s_per_core']:.0f} frames/s per core")  # fmt: skip
    table.add_row("frames in a batch", "8", f"{found['mean_batch']:.2f}", "")
    return table


def _split(name: str, found: dict[str, Any]) -> Table:
    table = Table(f"{name}: where a frame's time goes", "ms")
    for part, ms in found["cpu_ms"].items():
        table.add_row(f"CPU, {part}", f"{ms:.2f}")
    for which in ("stages_ms", "stages_ms_at_load"):
        for stage, ms in found.get(which, {}).items():
            table.add_row(f"{'saturated' if which == 'stages_ms' else 'at 70 %'}, {stage}", f"{ms:.2f}")
    return table


def _growth(rows: list[dict[str, Any]]) -> Table:
    table = Table(
        "streams",
        "offered /s",
        "p50 ms",
        "p99 ms",
        "CPU ms/frame",
        "idle CPU ms/s",
        "full, frames/s",
        "full, CPU ms",
        "resident MB",
    )
    for row in rows:
        at_load, full = row["at_load"], row["full"]
        numbers = (at_load["p50_ms"], at_load["p99_ms"], at_load["cpu_ms_outside_triton"], row["idle_cpu_ms_per_s"],
                   full["whole_frames_per_s"], full["cpu_ms_outside_triton"], row["resident_mb"])  # fmt: skip
        table.add_row(f"{row['streams']:,}", f"{row['offered_frames_per_s']:.0f}", *(f"{n:.2f}" for n in numbers))
    return table


def _pairs(name: str, unit: str, values: dict[str, float]) -> Table:
    table = Table(name, unit)
    for key, value in values.items():
        table.add_row(key, f"{value:.3f}")
    return table


def _show_against(console: Console, figures: dict[str, Any]) -> None:
    free = figures["near_free_model"]
    rows = [(f"a near-free model, level {each['level']}", each, each["each_side"]) for each in free["levels_against"]]
    at_load = {
        "cpu_ratio_against": figures["cpu_ratio_against_at_load"],
        "redis_ratio_against": figures["redis_ratio_against_at_load"],
        "cpu_ratio_against_range": figures["cpu_ratio_against_at_load_range"],
    }
    rows.append(("the bundle's decoder at 70 %", at_load, figures["at_load_against"]))
    table = Table(f"beside {figures['against']}", "REV", "present", "ratio", "of the rounds")
    for name, ratios, sides in rows:
        low, high = ratios["cpu_ratio_against_range"]
        table.add_row(
            f"{name}: CPU ms a frame",
            *_two(sides, "cpu_ms"),
            f"{ratios['cpu_ratio_against']:.3f}",
            f"{low:.3f} to {high:.3f}",
        )
        table.add_row("  dispatcher", *_two(sides, "dispatcher_ms"), "", "")
        table.add_row("  Redis", *_two(sides, "redis_ms"), f"{ratios['redis_ratio_against']:.3f}", "")
        table.add_row("  Triton", *_two(sides, "triton_ms"), "", "")
        if "path_ratio_against" in ratios:
            table.add_row("  frames/s", *_two(sides, "frames_per_s", 0), f"{ratios['path_ratio_against']:.2f}", "")
            table.add_row(
                "  frames/s straight",
                *_two(sides, "straight_per_s", 0),
                f"throughput_ratio {ratios['throughput_ratio']:.3f}",
                "",
            )
        else:
            table.add_row("  p50, ms", *_two(sides, "p50_ms", 1), "", "")
            table.add_row("  p99, ms", *_two(sides, "p99_ms", 1), "", "")
        table.add_row("  frames in a batch", *_two(sides, "mean_batch", 1), "", "")
    console.print(table)


def _two(sides: dict[str, dict[str, float]], figure: str, digits: int = 3) -> tuple[str, str]:
    return f"{sides['rev'][figure]:,.{digits}f}", f"{sides['present'][figure]:,.{digits}f}"
