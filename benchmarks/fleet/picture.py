"""The results as SVG: connections made, and the age of masks, while a zone is lost and comes back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import cycle
from pathlib import Path

from benchmarks.autoscale.svg import Panel, write_panels
from benchmarks.fleet.nodes import Floats
from benchmarks.fleet.zone import ZoneResult

_COLOURS = ("#d62728", "#1f77b4", "#2ca02c", "#9467bd", "#ff7f0e", "#8c564b")
_SPAN_S = 1000


def draw(path: Path, results: Mapping[str, ZoneResult]) -> None:
    """Two panels: reconnects a second, on a scale of powers of ten; the p99 age."""
    most_age = max(float(result.p99_age_s.max()) for result in results.values())
    every = [(float(at), f"{at}") for at in range(0, _SPAN_S + 1, 200)]
    powers = [(float(power), f"{10**power:,}") for power in range(6)]
    step = max(1, math.ceil(most_age / 5))
    ages = [(float(at), f"{at}") for at in range(0, step * 6, step)]
    reconnects = Panel("connections made", "seconds", "a second", every, powers)
    age = Panel("age of the newest mask, 99th percentile", "seconds", "s", every, ages)
    for colour, (name, result) in zip(cycle(_COLOURS), results.items(), strict=False):
        reconnects.line(_places([math.log10(max(1.0, each)) for each in result.reconnects_per_s]), colour, name)
        age.line(_places(result.p99_age_s), colour, name)
    write_panels(path, [reconnects, age])


def _places(values: Floats | list[float]) -> list[tuple[float, float]]:
    return [(float(second), float(value)) for second, value in enumerate(values)]
