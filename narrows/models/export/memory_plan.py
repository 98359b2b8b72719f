"""How much memory a graph's activations take at once, where each is one byte an element.

A tensor lives from the step that writes it to the last that reads it; pairs of quantise and dequantise change a tensor
where it lies, and so do clips of what nobody reads as it was. The peak is the most that lives at one step; the arena is
what a simple allocator (largest tensor first, lowest free place) needs for it. A float graph is planned as the int8
graph that it will become.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import onnx

from narrows.contract.errors import WeightsMismatch

PAIRS = frozenset({"QuantizeLinear", "DequantizeLinear"})
CLIPS = frozenset({"Clip", "Relu"})


@dataclass(frozen=True)
class Lifetime:
    """One tensor: its bytes, the steps at which it is written and last read, and its place in the arena."""

    name: str
    size_bytes: int
    written: int
    read: int
    offset: int = 0


@dataclass(frozen=True)
class MemoryPlan:
    """Tensors by lifetime, each with its place, and sums in bytes; ``peak_step`` is where most is alive."""

    lifetimes: tuple[Lifetime, ...]
    peak_bytes: int
    peak_step: str
    arena_bytes: int


def plan_memory(graph: onnx.GraphProto) -> MemoryPlan:
    """Plan a graph of which every shape was inferred.

    Raises:
        WeightsMismatch: a shape is not known before it runs.
    """
    lifetimes, steps = _lifetimes(graph)
    alive = [
        sum(each.size_bytes for each in lifetimes if each.written <= step <= each.read) for step in range(len(steps))
    ]
    placed = place(lifetimes)
    arena_bytes = max(each.offset + each.size_bytes for each in placed)
    return MemoryPlan(placed, max(alive), steps[alive.index(max(alive))], arena_bytes)


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
    last_read = _last_read(graph)
    for index, node in enumerate(graph.node):
        given = [root[name] for name in node.input if name in root]
        if not given:  # a weight's own dequantisation
            constants.update(node.output)
            continue
        if node.op_type in PAIRS or (node.op_type in CLIPS and index in last_read):
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


def _last_read(graph: onnx.GraphProto) -> frozenset[int]:
    """Places of the nodes behind which nobody reads their first input, be it through pairs."""
    same: dict[str, str] = {}
    last: dict[str, int] = {}
    for index, node in enumerate(graph.node):
        for name in node.input:
            last[same.get(name, name)] = index
        if node.op_type in PAIRS:
            same[node.output[0]] = same.get(node.input[0], node.input[0])
    last |= {same.get(value.name, value.name): len(graph.node) for value in graph.output}
    firsts = ((index, node.input[0]) for index, node in enumerate(graph.node) if node.input)
    return frozenset(index for index, name in firsts if last[same.get(name, name)] == index)


def _shapes(graph: onnx.GraphProto) -> dict[str, tuple[int, ...]]:
    shapes = {}
    for value in (*graph.input, *graph.value_info, *graph.output):
        dims = value.type.tensor_type.shape.dim
        if not all(dim.HasField("dim_value") for dim in dims):
            raise WeightsMismatch(f"the shape of {value.name} is not known before the graph runs: export it statically")
        shapes[value.name] = tuple(dim.dim_value for dim in dims)
    return shapes
