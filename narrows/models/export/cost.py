"""Parameters and multiply-accumulates of an exported ONNX graph: one counter for every contender.

Counted is what is shipped, folded as exported, for a batch of one:

- parameters: every number in a floating-point or int8 weight of a convolution or matrix product, biases
  included, and every other floating-point constant with more than one value (inverse gains, say);
- MACs: a convolution or matrix product by its definition; a bilinear resize 4 an output value; a mean over
  positions 1 an input value; argmax 1 an input value; any other arithmetic 1 an output value. Moving, slicing, joining
  and casting is free, and so is arithmetic on indices (int64).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import onnx
from onnx import shape_inference

FREE = frozenset(
    {"Cast", "Concat", "Constant", "ConstantOfShape", "DepthToSpace", "Expand", "Flatten", "Gather", "Identity", "Pad"}
    | {"Reshape", "Shape", "Slice", "SpaceToDepth", "Split", "Squeeze", "Transpose", "Unsqueeze"}
)
REDUCING = frozenset({"ArgMax", "GlobalAveragePool", "ReduceMean", "ReduceSum"})
PRODUCTS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
BILINEAR_TAPS = 4
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Cost:
    """What one graph costs for one frame."""

    parameters: int
    macs: int


def count_cost(path: Path) -> Cost:
    """Count a graph's file.

    Raises:
        ValueError: a shape stays unknown with batch 1: export it with fixed picture sizes.
    """
    model = _with_batch_of_one(onnx.load(path))
    shapes = _shapes(model)
    indices = {
        value.name for value in model.graph.value_info if value.type.tensor_type.elem_type == onnx.TensorProto.INT64
    }
    nodes = [n for n in model.graph.node if n.op_type in REDUCING or n.output[0] not in indices]
    return Cost(_parameters(model), sum(node_macs(node, shapes) for node in nodes))


def count_convolutions(path: Path) -> int:
    """Multiply-accumulates of a graph's convolutions and products alone, float or int8: nearly all of its work.

    Raises:
        ValueError: a shape stays unknown with batch 1: export it with fixed picture sizes.
    """
    model = _with_batch_of_one(onnx.load(path))
    shapes = _shapes(model)
    return sum(node_macs(node, shapes) for node in model.graph.node if node.op_type in PRODUCTS)


def _with_batch_of_one(model: onnx.ModelProto) -> onnx.ModelProto:
    for value in model.graph.input:
        value.type.tensor_type.shape.dim[0].dim_value = 1
    for value in model.graph.output:
        value.type.tensor_type.shape.dim[0].Clear()
    del model.graph.value_info[:]
    return shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)


def _shapes(model: onnx.ModelProto) -> Mapping[str, Shape]:
    graph = model.graph
    shapes: dict[str, Shape] = {constant.name: tuple(constant.dims) for constant in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        dims = value.type.tensor_type.shape.dim
        if all(dim.HasField("dim_value") for dim in dims):
            shapes[value.name] = tuple(dim.dim_value for dim in dims)
    return shapes


def _parameters(model: onnx.ModelProto) -> int:
    weights = {onnx.TensorProto.FLOAT, onnx.TensorProto.INT8}
    scales = {name for node in model.graph.node if node.op_type == "Resize" for name in node.input[1:]}
    counted = [c for c in model.graph.initializer if c.data_type in weights and c.name not in scales]
    return sum(size for constant in counted if (size := math.prod(constant.dims)) > 1)


def node_macs(node: onnx.NodeProto, shapes: Mapping[str, Shape]) -> int:  # noqa: PLR0911 -- one for each kind
    """Multiply-accumulates of one node, given the shapes of what it reads and writes.

    Raises:
        ValueError: one of them is unknown.
    """
    if node.op_type in FREE:
        return 0
    written = _size(node, node.output[0], shapes)
    match node.op_type:
        case "Conv":
            return written * math.prod(shapes[node.input[1]][1:])
        case "ConvTranspose":
            return _size(node, node.input[0], shapes) * math.prod(shapes[node.input[1]][1:])
        case "Gemm" | "MatMul":
            return written * _size(node, node.input[0], shapes) // math.prod(shapes[node.input[0]][:-1])
        case "Resize":
            return written * BILINEAR_TAPS
        case reducing if reducing in REDUCING:
            return _size(node, node.input[0], shapes)
        case _:
            return written


def _size(node: onnx.NodeProto, name: str, shapes: Mapping[str, Shape]) -> int:
    if name not in shapes:
        raise ValueError(
            f"{node.op_type} {node.name}: the shape of {name} is unknown; export it with fixed sizes to count it"
        )
    return math.prod(shapes[name])
