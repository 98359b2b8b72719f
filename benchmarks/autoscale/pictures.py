"""The plots, as SVG: violations against replica-hours, and what was offered against what there was."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.autoscale.curves import Point, front
from benchmarks.autoscale.grids import RIVALS
from benchmarks.autoscale.svg import Panel, write_panels
from benchmarks.autoscale.traces import MAKERS
from orchestrator.scaling.simulate.policy_name import PolicyName
from orchestrator.scaling.simulate.run import SimulationResult

_COLOURS = {
    PolicyName.NARROWS: "#d62728",
    PolicyName.HPA: "#1f77b4",
    PolicyName.KEDA: "#2ca02c",
    PolicyName.RAY_SERVE: "#9467bd",
    PolicyName.KNATIVE: "#ff7f0e",
}
_LEAST_SHOWN = 100.0


def draw_fronts(path: Path, points: dict[tuple[str, PolicyName], list[Point]]) -> None:
    """A panel a trace: each rival's tuned front as a line, our one default as a dot."""
    panels = []
    for name in MAKERS:
        ours = points[name, PolicyName.NARROWS][0]
        curves = {rival: front(points[name, rival]) for rival in RIVALS}
        most_h = 3 * ours.replica_hours
        panel = Panel(
            title=name,
            x_label="replica-hours",
            y_label="violating stream-seconds",
            x_ticks=_even_ticks(0, most_h),
            y_ticks=[(_height(v), f"{v:,.0f}") for v in (0, 1e3, 1e4, 1e5, 1e6)],
        )
        for rival, curve in curves.items():
            shown = [(p.replica_hours, _height(p.violating_stream_seconds)) for p in curve if p.replica_hours <= most_h]
            panel.line(shown, _COLOURS[rival], rival.value, dots=True)
        panel.dot((ours.replica_hours, _height(ours.violating_stream_seconds)), _COLOURS[PolicyName.NARROWS], "narrows")
        panels.append(panel)
    write_panels(path, panels)


def draw_courses(path: Path, courses: Sequence[tuple[str, SimulationResult]]) -> None:
    """A panel a trace: frames/s offered, and frames/s that the ready servers could do, under our policy."""
    panels = []
    for name, outcome in courses:
        course = outcome.course
        most = max(max(each.offered_per_s, each.capacity_per_s) for each in course)
        panel = Panel(
            title=name,
            x_label="hours",
            y_label="frames/s",
            x_ticks=_even_ticks(0, course[-1].time_s / 3600),
            y_ticks=_even_ticks(0, most),
        )
        get: dict[str, Callable[[int], float]] = {
            "capacity of ready servers": lambda n, course=course: course[n].capacity_per_s,  # type: ignore[misc]
            "offered": lambda n, course=course: course[n].offered_per_s,  # type: ignore[misc]
        }
        for (label, value), colour in zip(get.items(), ("#1f77b4", "#d62728"), strict=True):
            panel.line([(each.time_s / 3600, value(n)) for n, each in enumerate(course)], colour, label)
        panels.append(panel)
    write_panels(path, panels)


def _height(violations: float) -> float:
    """Logarithmic above a hundred, with room for none."""
    return math.log10(max(violations, _LEAST_SHOWN))


def _even_ticks(least: float, most: float) -> list[tuple[float, str]]:
    rough = (most - least) / 5
    unit = 10 ** math.floor(math.log10(rough))
    every = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= rough)
    return [(least + n * every, f"{least + n * every:g}") for n in range(math.ceil((most - least) / every) + 1)]
