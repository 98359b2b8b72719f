"""What an int8 graph asks of a sensor: its operators, and how much memory its activations take at once.

Every activation is one byte an element. A tensor lives from the step that writes it to the last that reads it; pairs
of quantise and dequantise, and clips, change a tensor where it lies. The peak is the most that lives at one step; the
arena is what a simple allocator (largest tensor first, lowest free place) needs for it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import onnx
from onnx import shape_inference

from narrows.contract.errors import WeightsMismatch

PAIRS = frozenset({"QuantizeLinear", "DequantizeLinear"})
IN_PLACE = PAIRS | {"Clip", "Relu"}
SENSOR_OPERATORS = frozenset({"Conv", "Clip", "Relu", "Add", "Concat", "Resize"})
"""On every list of operators of a sensor's converter that could be read; ``Resize`` as nearest neighbours alone."""
BUDGET_BYTES = 2_000_000
"""Weights and activations together: the smaller of the two memories that are told of an IMX500."""


@dataclass(frozen=True)
class Lifetime:
    """One tensor: its bytes, the steps at which it is written and last read, and its place in the arena."""

    name: str
    size_bytes: int
    written: int
    read: int
    offset: int = 0


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
    operators = Counter(node.op_type for node in graph.node)
    if strange := sorted(set(operators) - SENSOR_OPERATORS - PAIRS):
        raise WeightsMismatch(f"{path} has {', '.join(strange)}: a sensor takes {', '.join(sorted(SENSOR_OPERATORS))}")
    lifetimes, steps = _lifetimes(graph)
    alive = [
        sum(each.size_bytes for each in lifetimes if each.written <= step <= each.read) for step in range(len(steps))
    ]
    placed = place(lifetimes)
    return SensorPlan(
        operators=dict(sorted((name, count) for name, count in operators.items() if name not in PAIRS)),
        lifetimes=placed,
        peak_bytes=max(alive),
        peak_step=steps[alive.index(max(alive))],
        arena_bytes=max(each.offset + each.size_bytes for each in placed),
        weight_bytes=_weight_bytes(graph),
    )


def place(lifetimes: tuple[Lifetime, ...]) -> tuple[Lifetime, ...]:
    """Give every tensor a place that no tensor alive at the same time has; largest first, as low as it fits."""
    placed: list[Lifetime] = []
    for each in sorted(lifetimes, key=lambda one: (-one.size_bytes, one.written)):
        beside = sorted(
            (o.offset, o.offset + o.size_bytes) for o in placed if o.written <= each.read and each.written <= o.read
        )
        offset = 0
        for start, end in beside:
            if start - offset >= each.size_bytes:
                break
            offset = max(offset, end)
        placed.append(Lifetime(each.name, each.size_bytes, each.written, each.read, offset))
    return tuple(sorted(placed, key=lambda one: (one.written, one.name)))


def _lifetimes(graph: onnx.GraphProto) -> tuple[tuple[Lifetime, ...], list[str]]:
    constants = {each.name for each in graph.initializer}
    shapes = _shapes(graph)
    root: dict[str, str] = {value.name: value.name for value in graph.input}
    written: dict[str, int] = {value.name: 0 for value in graph.input}
    read: dict[str, int] = {}
    steps: list[str] = []
    for node in graph.node:
        given = [root[name] for name in node.input if name in root]
        if not given:  # a weight's own dequantisation
            constants.update(node.output)
            continue
        if node.op_type in IN_PLACE:
            root[node.output[0]] = given[0]
            continue
        step = len(steps)
        steps.append(f"{node.op_type} {node.name}")
        root[node.output[0]] = node.output[0]
        written[node.output[0]] = step
        for name in given:
            read[name] = step
    for value in graph.output:
        read[root[value.name]] = len(steps) - 1
    return tuple(Lifetime(n, math.prod(shapes[n]), written[n], read.get(n, written[n])) for n in written), steps


def _shapes(graph: onnx.GraphProto) -> dict[str, tuple[int, ...]]:
    shapes = {}
    for value in (*graph.input, *graph.value_info, *graph.output):
        dims = value.type.tensor_type.shape.dim
        if not all(dim.HasField("dim_value") for dim in dims):
            raise WeightsMismatch(f"the shape of {value.name} is not known before the graph runs: export it statically")
        shapes[value.name] = tuple(dim.dim_value for dim in dims)
    return shapes


def _weight_bytes(graph: onnx.GraphProto) -> int:
    """Weights of 8 bits and biases of 32; scales are folded into a converter's own multipliers, 4 bytes each."""
    integers = [each for each in graph.initializer if each.dims and "zero_point" not in each.name]
    sizes = {onnx.TensorProto.INT8: 1, onnx.TensorProto.INT32: 4 + 4}
    return sum(int(math.prod(each.dims)) * sizes.get(each.data_type, 0) for each in integers)
