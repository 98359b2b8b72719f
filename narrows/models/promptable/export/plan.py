"""What an int8 graph asks of a sensor: its operators, and how much memory its activations take at once."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import onnx
from onnx import shape_inference

from narrows.contract.errors import WeightsMismatch
from narrows.models.export.memory_plan import PAIRS, Lifetime, plan_memory

SENSOR_OPERATORS = frozenset({"Conv", "Clip", "Relu", "Add", "Concat", "Resize"})
"""On every list of operators of a sensor's converter that could be read; ``Resize`` as nearest neighbours alone."""
BUDGET_BYTES = 2_000_000
"""Weights and activations together: the smaller of the two memories that are told of an IMX500."""


@dataclass(frozen=True)
class SensorPlan:
    """Operators by how often they occur, tensors by lifetime, and sums in bytes.

    Attributes:
        peak_step: the operator at which most is alive.
    """

    operators: Mapping[str, int]
    lifetimes: tuple[Lifetime, ...]
    peak_bytes: int
    peak_step: str
    arena_bytes: int
    weight_bytes: int

    @property
    def total_bytes(self) -> int:
        """Weights and the arena: what has to fit."""
        return self.weight_bytes + self.arena_bytes


def plan_sensor(path: Path) -> SensorPlan:
    """Plan a graph with static shapes.

    Raises:
        WeightsMismatch: it has an operator that sensors do not take, or a shape that is not known before it runs.
    """
    model = shape_inference.infer_shapes(onnx.load(path), strict_mode=True, data_prop=True)
    graph = model.graph
    operators = Counter(_named(node) for node in graph.node)
    if strange := sorted(set(operators) - SENSOR_OPERATORS - PAIRS):
        raise WeightsMismatch(f"{path} has {', '.join(strange)}: a sensor takes {', '.join(sorted(SENSOR_OPERATORS))}")
    plan = plan_memory(graph)
    return SensorPlan(
        operators=dict(sorted((name, count) for name, count in operators.items() if name not in PAIRS)),
        lifetimes=plan.lifetimes,
        peak_bytes=plan.peak_bytes,
        peak_step=plan.peak_step,
        arena_bytes=plan.arena_bytes,
        weight_bytes=_weight_bytes(graph),
    )


def _named(node: onnx.NodeProto) -> str:
    """Its operator; with how it samples, where that is not as sensors do it."""
    modes = [each.s.decode() for each in node.attribute if each.name == "mode"]
    return (
        f"{node.op_type} ({modes[0]})" if node.op_type == "Resize" and modes not in ([], ["nearest"]) else node.op_type
    )


def _weight_bytes(graph: onnx.GraphProto) -> int:
    """Weights of 8 bits and biases of 32; scales are folded into a converter's own multipliers, 4 bytes each."""
    integers = [each for each in graph.initializer if each.dims and "zero_point" not in each.name]
    sizes = {onnx.TensorProto.INT8: 1, onnx.TensorProto.INT32: 4 + 4}
    return sum(int(math.prod(each.dims)) * sizes.get(each.data_type, 0) for each in integers)
