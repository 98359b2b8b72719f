"""What the sensor's network costs: size, memory, and milliseconds on a core and on shares of one."""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median
from typing import Any

from narrows.cli.split import device_named
from narrows.models.export.cost import count_cost
from narrows.models.promptable.data import AnnotatedPicture
from narrows.models.promptable.export.plan import plan_sensor
from narrows.models.promptable.export.write import FLOAT, INT8
from narrows.models.promptable.prompts import PromptKind, draw_prompt
from narrows.models.split.device import Effort
from narrows.runtime.prompting.segmenter import PromptSegmenter

GRAPHS = {"float": FLOAT, "int8": INT8}
SHARES = (1.0, 0.5, 0.25, 0.1)
"""Of a core, for one pass of the int8 graph by the probe of `narrows bench-device`."""
_TIMED = 40


def cost_of(sensor: Path, picture: AnnotatedPicture, *, quick: bool) -> dict[str, Any]:
    """Of an exported folder; prompts are the picture's things, crop and way back included in their milliseconds."""
    cost, plan = count_cost(sensor / FLOAT), plan_sensor(sensor / INT8)
    return {
        "parameters": cost.parameters,
        "macs": cost.macs,
        "int8_file_bytes": (sensor / INT8).stat().st_size,
        "weight_bytes": plan.weight_bytes,
        "arena_bytes": plan.arena_bytes,
        "peak_bytes": plan.peak_bytes,
        "peak_step": plan.peak_step,
        "operators": plan.operators,
        **{
            f"{name}_{kind.value}_ms": _processor_ms(sensor / file, picture, kind)
            for name, file in GRAPHS.items()
            for kind in (PromptKind.BOX, PromptKind.POINT)
        },
        "passes_by_share": [_pass_at(share, sensor / INT8, quick=quick) for share in SHARES],
    }


def _processor_ms(graph: Path, picture: AnnotatedPicture, kind: PromptKind) -> float:
    segmenter = PromptSegmenter.open(graph)
    prompts = [draw_prompt(thing, kind, picture.size) for thing in picture.instances]
    spent = []
    for turn in range(_TIMED):
        began = time.process_time()
        segmenter.segment(picture.picture, prompts[turn % len(prompts)])
        spent.append(1000 * (time.process_time() - began))
    return round(median(spent), 2)


def _pass_at(share: float, graph: Path, *, quick: bool) -> dict[str, float]:
    with device_named("local" if share == 1 else f"quota {share:g}") as device:
        found = device.measure(graph.read_bytes(), Effort(runs=3 if quick else 50))
    return {
        "share": share,
        "processor_ms": round(1000 * found.processor_s, 2),
        "latency_ms": round(median(found.whole_ms), 2),
    }
