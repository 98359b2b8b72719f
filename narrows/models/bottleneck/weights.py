"""Weights of a network in int8, as floats to train and prune, and as int8 again.

::

    weight int8 ─ DequantizeLinear ─► Conv      becomes      weight float ─► Conv      and back, with scales anew
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from narrows.contract.errors import NotTrainable

_MOST_INT32 = 2.0**31 * 0.99
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Rounded:
    """A weight that the network has in whole numbers.

    Attributes:
        axis: each place of it has a scale of its own; ``None`` where one is for all.
        most: the largest whole number that the network uses, either sign.
    """

    axis: int | None
    most: int
    dtype: str

    @property
    def is_bias(self) -> bool:
        """Of 32 bits, whose scale is that of its convolution's input times its weight's."""
        return self.dtype == "int32"

    def scales(self, weight: Floats) -> Floats:
        """So that the largest of each place is ``most``; of the weight's rank, or a number."""
        if self.axis is None:
            whole: Floats = np.asarray(np.abs(weight).max(initial=1e-12) / self.most, np.float32)
            return whole
        others = tuple(i for i in range(weight.ndim) if i != self.axis)
        largest = np.abs(weight).max(axis=others, keepdims=True)
        scales: Floats = np.maximum(largest / self.most, 1e-12).astype(np.float32)
        return scales


def with_initialisers(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy in which what `Constant` nodes give is initialisers: some exporters write weights and scales as nodes."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    kept = []
    for node in copy.graph.node:
        values = _constant(node) if node.op_type == "Constant" else None
        if values is None:
            kept.append(node)
        else:
            copy.graph.initializer.append(numpy_helper.from_array(values, node.output[0]))
    _set_nodes(copy.graph, kept)
    return copy


def _constant(node: onnx.NodeProto) -> NDArray[Any] | None:
    """What a `Constant` node gives; ``None`` of one that gives no plain numbers."""
    (given,) = node.attribute
    value = helper.get_attribute_value(given)
    match given.name:
        case "value":
            return numpy_helper.to_array(value)
        case "value_float" | "value_floats":
            return np.asarray(value, np.float32)
        case "value_int" | "value_ints":
            return np.asarray(value, np.int64)
    return None


def with_float_weights(model: onnx.ModelProto) -> tuple[onnx.ModelProto, Mapping[str, Rounded]]:
    """A copy whose weights in whole numbers are floats, all initialisers, and which were in whole numbers.

    Raises:
        NotTrainable: such a weight has a zero that is not 0.
    """
    copy = with_initialisers(model)
    constants = {each.name: each for each in copy.graph.initializer}
    found: dict[str, Rounded] = {}
    kept, made = [], []
    for node in copy.graph.node:
        if node.op_type != "DequantizeLinear" or node.input[0] not in constants:
            kept.append(node)
            continue
        whole = numpy_helper.to_array(constants[node.input[0]])
        scale = numpy_helper.to_array(constants[node.input[1]])
        if len(node.input) > 2 and numpy_helper.to_array(constants[node.input[2]]).any():
            raise NotTrainable(f"weight {node.input[0]} has a zero that is not 0: quantise weights symmetrically")
        axis = (
            next((each.i for each in node.attribute if each.name == "axis"), 1) % whole.ndim if scale.size > 1 else None
        )
        wide = scale if axis is None else scale.reshape([-1 if i == axis else 1 for i in range(whole.ndim)])
        most = int(min(np.abs(whole.astype(np.int64)).max(initial=1), 127)) or 1
        found[node.output[0]] = Rounded(axis, most, str(whole.dtype))
        made.append(numpy_helper.from_array((whole * wide).astype(np.float32), node.output[0]))
    _set_nodes(copy.graph, kept)
    copy.graph.initializer.extend(made)
    drop_unread(copy.graph)
    return copy, found


def with_whole_weights(model: onnx.ModelProto, rounded: Mapping[str, Rounded]) -> onnx.ModelProto:
    """A copy whose weights are in whole numbers where those of the network were, with scales that fit them."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    floats = {each.name: numpy_helper.to_array(each) for each in copy.graph.initializer}
    scales: dict[str, Floats] = {
        name: how.scales(floats[name]) for name, how in rounded.items() if name in floats and not how.is_bias
    }
    inputs = {node.output[0]: node for node in copy.graph.node if node.op_type == "DequantizeLinear"}
    for node in copy.graph.node:
        bias = node.input[2] if len(node.input) > 2 else ""
        if node.op_type in {"Conv", "Gemm"} and bias in rounded and bias in floats and rounded[bias].is_bias:
            step = float(floats[inputs[node.input[0]].input[1]]) if node.input[0] in inputs else 1.0
            weight = scales.get(node.input[1], np.float32(1))
            least = np.abs(floats[bias]) / (step * _MOST_INT32)  # a bias that its scale cannot hold widens the scale
            wide = np.maximum(np.broadcast_to(np.ravel(weight), least.shape), least).astype(np.float32)
            if node.input[1] in scales:
                scales[node.input[1]] = wide.reshape(np.shape(weight)) if np.size(weight) > 1 else wide.max()
                wide = np.broadcast_to(np.ravel(scales[node.input[1]]), least.shape)
            scales[bias] = (wide * step).astype(np.float32)
    for name, how in rounded.items():
        if how.is_bias and name in floats and name not in scales:  # no convolution's: its scale is its own
            scales[name] = replace(how, most=int(_MOST_INT32)).scales(floats[name])
    nodes, made = [], []
    for name, how in rounded.items():
        if name in floats:
            made += _constants(name, how, floats[name], scales[name])
            parts = [f"{name}/whole", f"{name}/scale", f"{name}/zero"]
            nodes.append(helper.make_node("DequantizeLinear", parts, [name], name=f"{name}/floats", axis=how.axis or 0))
    _set_nodes(copy.graph, [*nodes, *copy.graph.node])
    replaced = [each for each in copy.graph.initializer if each.name not in rounded]
    del copy.graph.initializer[:]
    copy.graph.initializer.extend([*replaced, *made])
    return copy


def _constants(name: str, how: Rounded, values: Floats, scale: Floats) -> list[onnx.TensorProto]:
    bounds = 2**31 - 1 if how.is_bias else how.most
    whole = np.clip(np.rint(values.astype(np.float64) / scale), -bounds, bounds).astype(how.dtype)
    flat = np.ravel(scale).astype(np.float32) if how.axis is not None else np.asarray(np.ravel(scale)[0], np.float32)
    zeros = np.zeros(flat.shape, how.dtype)
    named = ((whole, "whole"), (flat, "scale"), (zeros, "zero"))
    return [numpy_helper.from_array(each, f"{name}/{part}") for each, part in named]


def drop_unread(graph: onnx.GraphProto) -> None:
    """Leave out initialisers that no node reads."""
    read = {name for node in graph.node for name in node.input} | {value.name for value in graph.output}
    kept = [each for each in graph.initializer if each.name in read]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def _set_nodes(graph: onnx.GraphProto, nodes: list[onnx.NodeProto]) -> None:
    copies = [onnx.NodeProto.FromString(each.SerializeToString()) for each in nodes]
    del graph.node[:]
    graph.node.extend(copies)
