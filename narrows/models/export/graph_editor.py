"""Changing an ONNX graph in place: who makes a tensor, who reads it, and nodes put before others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper, shape_inference

Attribute = str | float | Sequence[int]
Dims = tuple[int | None, ...]
"""A tensor's shape; ``None`` where it varies, as the batch does."""


class GraphEditor:
    """A copy of a graph under change. Nodes stay in an order in which each follows what it reads."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._model = shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
        self._nodes = list(self._model.graph.node)
        self._constants = {each.name: each for each in self._model.graph.initializer}
        self._taken = {name for node in self._nodes for name in (*node.input, *node.output)} | set(self._constants)

    @property
    def nodes(self) -> Sequence[onnx.NodeProto]:
        """All nodes, in order."""
        return tuple(self._nodes)

    @property
    def first_output(self) -> onnx.ValueInfoProto:
        """The graph's first output: the label map, in a decoder."""
        first: onnx.ValueInfoProto = self._model.graph.output[0]
        return first

    def maker(self, name: str) -> onnx.NodeProto | None:
        """The node that makes a tensor; ``None`` for inputs and constants."""
        return next((node for node in self._nodes if name in node.output), None)

    def readers(self, name: str) -> list[onnx.NodeProto]:
        """The nodes that read a tensor."""
        return [node for node in self._nodes if name in node.input]

    def value(self, name: str) -> NDArray[Any] | None:
        """A constant's value; ``None`` if it is none."""
        found = self._constants.get(name)
        return None if found is None else numpy_helper.to_array(found)

    def dims(self, name: str) -> Dims | None:
        """The shape that a tensor had when the graph was opened; ``None`` if its rank is unknown."""
        graph = self._model.graph
        for value in (*graph.value_info, *graph.output, *graph.input):
            if value.name == name and value.type.tensor_type.HasField("shape"):
                dims = value.type.tensor_type.shape.dim
                return tuple(dim.dim_value if dim.HasField("dim_value") else None for dim in dims)
        return None

    def constant(self, value: NDArray[Any], hint: str) -> str:
        """Add a constant; answers its name."""
        name = self._fresh(hint)
        self._constants[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name

    def insert(
        self,
        before: onnx.NodeProto,
        operator: str,
        inputs: Sequence[str],
        *,
        output: str | None = None,
        **fields: Attribute,
    ) -> str:
        """Put a node before another; answers the name of what it makes."""
        made = output or self._fresh(f"{before.output[0]}_{operator.lower()}")
        node = helper.make_node(operator, list(inputs), [made], name=f"node_{made}")
        node.attribute.extend(helper.make_attribute(name, value) for name, value in fields.items())
        self._nodes.insert(self._place(before), node)
        return made

    def remove(self, node: onnx.NodeProto) -> None:
        """Take a node out; who reads what it made must be given something else."""
        del self._nodes[self._place(node)]

    def finish(self) -> onnx.ModelProto:
        """The graph without what nothing reads any more, checked.

        Raises:
            onnx.checker.ValidationError: the changes left something that is no graph.
        """
        graph = self._model.graph
        self._drop_dead({value.name for value in graph.output})
        read = {name for node in self._nodes for name in node.input}
        del graph.node[:], graph.initializer[:], graph.value_info[:]
        graph.node.extend(self._nodes)
        graph.initializer.extend(each for name, each in self._constants.items() if name in read)
        onnx.checker.check_model(self._model, full_check=True)
        return self._model

    def _drop_dead(self, wanted: set[str]) -> None:
        living = []
        for node in reversed(self._nodes):
            if wanted.intersection(node.output):
                living.append(node)
                wanted.update(node.input)
        self._nodes = living[::-1]

    def _place(self, node: onnx.NodeProto) -> int:
        return next(place for place, each in enumerate(self._nodes) if each is node)

    def _fresh(self, hint: str) -> str:
        number = 0
        while (name := f"{hint}_{number}" if number else hint) in self._taken:
            number += 1
        self._taken.add(name)
        return name


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """A node's attributes as Python has them; text as ``str``."""
    values = {each.name: helper.get_attribute_value(each) for each in node.attribute}
    return {name: value.decode() if isinstance(value, bytes) else value for name, value in values.items()}
