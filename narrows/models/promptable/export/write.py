"""A run folder into a folder for a sensor, in the order in which it has to happen."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from narrows.models.export.cost import count_cost
from narrows.models.promptable.config import Source
from narrows.models.promptable.data import open_instances, without_fold
from narrows.models.promptable.data.instances import read_all
from narrows.models.promptable.export.flat import write_golden, write_weights
from narrows.models.promptable.export.graphs import write_float, write_int8
from narrows.models.promptable.export.plan import BUDGET_BYTES, SensorPlan, plan_sensor
from narrows.models.promptable.run import Trained
from narrows.models.promptable.views import draw_view
from narrows.runtime.writing import write_file

FLOAT, INT8, REPORT = "sensor.onnx", "sensor.int8.onnx", "report.json"
CALIBRATION_VIEWS, GOLDEN_VIEWS = 256, 8
SEED = 20261129
Say = Callable[[str], None]


def export_sensor(trained: Trained, sources: Sequence[Source], folder: Path, say: Say = print) -> SensorPlan:
    """Write float and int8 graphs, report, flat weights and golden vectors; calibrated on pictures trained on.

    Raises:
        DatasetError: a source is not in its layout.
        WeightsMismatch: the network has an operator that sensors do not take.
    """
    folder.mkdir(parents=True, exist_ok=True)
    views = list(_views(trained, sources))
    say(f"writing the float graph, and its int8 twin calibrated on {len(views)} views")
    write_float(trained, folder / FLOAT)
    write_int8(trained, views, folder / INT8)
    plan = plan_sensor(folder / INT8)
    write_weights(folder / INT8, folder)
    write_golden(folder / INT8, views[:GOLDEN_VIEWS], folder)
    cost = count_cost(folder / FLOAT)
    report = {
        "parameters": cost.parameters,
        "macs": cost.macs,
        "int8_file_bytes": (folder / INT8).stat().st_size,
        "budget_bytes": BUDGET_BYTES,
        "total_bytes": plan.total_bytes,
        "unseen_fold": trained.fold,
        "epochs": trained.epochs,
        **asdict(plan),
    }
    write_file(folder / REPORT, json.dumps(report, indent=1) + "\n")
    say(
        f"{cost.parameters:,} parameters, {cost.macs / 1e6:.0f} MMAC; weights {plan.weight_bytes:,} bytes and "
        f"activations {plan.arena_bytes:,} at most: {plan.total_bytes:,} of {BUDGET_BYTES:,}"
    )
    return plan


def _views(trained: Trained, sources: Sequence[Source]) -> Iterator[NDArray[np.uint8]]:
    """Views as in training, evenly from every source."""
    chance = np.random.default_rng(SEED)
    each, size = max(1, CALIBRATION_VIEWS // len(sources)), trained.network.shape.size
    for source in sources:
        dataset = open_instances(source.root, source.layout, source.split)
        names = dataset.names if trained.fold is None else without_fold(dataset.names, trained.fold)
        picked = chance.permutation(len(names))[:each]
        pictures = [p for p in read_all(dataset, [names[place] for place in picked]) if p.instances]
        for turn in range(each if pictures else 0):
            picture = pictures[turn % len(pictures)]
            thing = picture.instances[int(chance.integers(len(picture.instances)))]
            yield np.ascontiguousarray(draw_view(picture, thing, size, chance, parts=source.parts).inputs)
