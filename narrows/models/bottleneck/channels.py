"""Which channels of a network go together, and a network without some of them.

::

    Conv a ─► Relu ─► depthwise ─► Conv b      a channel: a row of a, a filter, a column of b
    Conv c ─┬► Add ─► Conv d                   channels that are summed go together: rows of c and e, columns of d
    Conv e ─┘

Tensors whose channels go together are a :class:`Space`. A space is pruned if convolutions of the head make it, and
only convolutions, in the head or behind it, take it apart; what lies between works on each channel by itself. So any
network of convolutions is pruned, sums and the cut's own channels included; what is joined, transposed or flattened
stays as it is, and so does what is resized to a size that names the channels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import helper, numpy_helper

from narrows.models.split.cuts import Cut
from narrows.models.split.network import Network, Node

_CHANNELWISE = frozenset(
    {"AveragePool", "Cast", "Clip", "DequantizeLinear", "Dropout", "GlobalAveragePool", "HardSigmoid", "HardSwish"}
    | {"Identity", "LeakyRelu", "MaxPool", "QuantizeLinear", "Relu", "Resize", "Round", "Sigmoid"}
)
_ARITHMETIC = frozenset({"Add", "Div", "Mul", "Sub"})
_Slice = tuple[str, int]
"""An initialiser and the axis on which it has the channels."""


@dataclass
class Space:
    """Channels of tensors that go together.

    Attributes:
        tensors: their names.
        slices: initialisers that have a place for each channel, readers' columns included.
        depthwise: nodes whose groups are the channels.
        makers: convolutions whose rows the channels are; places in ``Network.nodes``.
        readers: convolutions of which they are columns.
    """

    channels: int
    tensors: list[str] = field(default_factory=list)
    slices: list[_Slice] = field(default_factory=list)
    depthwise: list[int] = field(default_factory=list)
    makers: list[int] = field(default_factory=list)
    readers: list[int] = field(default_factory=list)
    frozen: bool = False

    def macs(self, network: Network, cut: Cut) -> float:
        """Multiply-accumulates of the head that hang on one channel."""
        places = [place for place in (*self.makers, *self.readers, *self.depthwise) if place in cut.head]
        return sum(network.nodes[place].macs for place in places) / self.channels


def prunable_spaces(network: Network, cut: Cut) -> list[Space]:
    """Those that the head makes, in the order of their first maker."""
    found = _Finder(network).found()
    twice = _seen_twice(found)
    return [
        space
        for space in found
        if not space.frozen
        and space.makers
        and space.readers
        and cut.head.issuperset(space.makers)
        and not twice.intersection(space.slices)
    ]


def without_channels(network: Network, kept: Mapping[int, np.ndarray], spaces: Sequence[Space]) -> onnx.ModelProto:
    """The graph with the channels of each space that are kept, by the space's place in ``spaces``."""
    model = onnx.ModelProto()
    model.CopyFrom(network.model)
    del model.graph.value_info[:]
    constants = {each.name: each for each in model.graph.initializer}
    for number, places in kept.items():
        for name, axis in spaces[number].slices:
            values = np.take(numpy_helper.to_array(constants[name]), places, axis)
            constants[name].CopyFrom(numpy_helper.from_array(np.ascontiguousarray(values), name))
        for place in spaces[number].depthwise:
            node = model.graph.node[network.nodes[place].index]
            others = [each for each in node.attribute if each.name != "group"]
            del node.attribute[:]
            node.attribute.extend([*others, helper.make_attribute("group", len(places))])
    return model


def _seen_twice(spaces: list[Space]) -> set[_Slice]:
    """Weights that two nodes share on the same axis: they cannot be cut for one of them."""
    seen: set[_Slice] = set()
    twice: set[_Slice] = set()
    for each in (each for space in spaces for each in space.slices):
        (twice if each in seen else seen).add(each)
    return twice


def _names_channels(resize: onnx.NodeProto) -> bool:
    """It says the sides that it makes, the number of channels among them: with fewer it would enlarge those, too."""
    axes = next((each.ints for each in resize.attribute if each.name == "axes"), (1,))
    return len(resize.input) > 3 and resize.input[3] != "" and 1 in axes


class _Finder:
    """Joins tensors into spaces, node by node."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.constants = {each.name: tuple(each.dims) for each in network.model.graph.initializer}
        self.spaces = {
            name: Space(tensor.shape[1] if len(tensor.shape) == 4 else 0, [name], frozen=len(tensor.shape) != 4)
            for name, tensor in network.tensors.items()
        }

    def found(self) -> list[Space]:
        for name in (self.network.input.name, *self.network.outputs):
            self.spaces[name].frozen = True
        for place, node in enumerate(self.network.nodes):
            self._take(place, node)
        return list({id(each): each for each in self.spaces.values()}.values())

    def _take(self, place: int, node: Node) -> None:
        proto = self.network.model.graph.node[node.index]
        if node.operator == "Conv" and node.inputs == (proto.input[0],) and proto.input[1] in self.constants:
            self._convolution(place, node, proto)
        elif node.operator == "BatchNormalization" and all(name in self.constants for name in proto.input[1:]):
            self._join(*node.inputs, *node.outputs).slices += [(name, 0) for name in proto.input[1:]]
        elif node.operator == "Resize" and _names_channels(proto):
            self._freeze(node)
        elif node.operator in _CHANNELWISE and len(node.inputs) == 1 and proto.input[0] == node.inputs[0]:
            self._join(*node.inputs, *node.outputs)
        elif node.operator in _ARITHMETIC:
            self._arithmetic(node, proto)
        elif node.operator == "ReduceMean" and self._over_sides(node):
            self._join(*node.inputs, *node.outputs)
        else:
            self._freeze(node)

    def _convolution(self, place: int, node: Node, proto: onnx.NodeProto) -> None:
        group = next((each.i for each in proto.attribute if each.name == "group"), 1)
        weight, bias = self.constants[proto.input[1]], list(proto.input[2:3])
        before, after = self.spaces[node.inputs[0]], self.spaces[node.outputs[0]]
        if any(name not in self.constants for name in bias):
            self._freeze(node)
        elif group == 1:
            before.readers.append(place)
            before.slices.append((proto.input[1], 1))
            after.makers.append(place)
            after.slices += [(name, 0) for name in (proto.input[1], *bias)]
        elif group == before.channels == weight[0]:
            joined = self._join(node.inputs[0], node.outputs[0])
            joined.depthwise.append(place)
            joined.slices += [(name, 0) for name in (proto.input[1], *bias)]
        else:
            self._freeze(node)

    def _arithmetic(self, node: Node, proto: onnx.NodeProto) -> None:
        constant = [name for name in proto.input if name not in self.spaces]
        if any(name not in self.constants for name in constant):
            self._freeze(node)
            return
        space = self._join(*node.inputs, *node.outputs)
        for name in constant:
            shape = self.constants[name]
            if len(shape) >= 3 and shape[-3] == space.channels:
                space.slices.append((name, len(shape) - 3))
            elif any(side > 1 for side in shape):
                space.frozen = True

    def _over_sides(self, node: Node) -> bool:
        before, after = (self.network.tensors[name].shape for name in (node.inputs[0], node.outputs[0]))
        return len(before) == len(after) == 4 and before[1] == after[1] and after[2:] == (1, 1)

    def _freeze(self, node: Node) -> None:
        for name in (*node.inputs, *node.outputs):
            self.spaces[name].frozen = True

    def _join(self, *names: str) -> Space:
        first = self.spaces[names[0]]
        for name in names[1:]:
            other = self.spaces[name]
            if other is first:
                continue
            first.frozen |= other.frozen or other.channels != first.channels
            for part in ("tensors", "slices", "depthwise", "makers", "readers"):
                getattr(first, part).extend(getattr(other, part))
            for tensor in other.tensors:
                self.spaces[tensor] = first
        return first
