"""An ONNX graph as a torch module: the same nodes, from the picture to what the loss looks at, its weights trained.

The weights go back into the graph that they came from (:func:`Trainable.written`), so nothing is exported by torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from torch import Tensor, nn

from narrows.contract.errors import NotTrainable
from narrows.models.bottleneck.operators import OPERATORS
from narrows.models.bottleneck.weights import Rounded
from narrows.models.nn.rate import round_straight_through
from narrows.models.split.halves import Values
from narrows.models.split.network import Network, Node
from narrows.runtime.onnx_runtime import InferenceSession, SessionOptions

_TRAINED: Mapping[str, tuple[int, ...]] = {
    "BatchNormalization": (1, 2),
    "Conv": (1, 2),
    "Gemm": (1, 2),
    "MatMul": (0, 1),
}
"""Which inputs of a node are learned, where they are initialisers."""


class Trainable(nn.Module):
    """The nodes that make ``outputs``, one picture at a time.

    Args:
        network: of float weights.
        outputs: names of the tensors that are asked for.
        rounded: weights that are shipped as whole numbers: here they are rounded as they will be there.

    Raises:
        NotTrainable: see :func:`check_trainable`.
    """

    def __init__(self, network: Network, outputs: Sequence[str], rounded: Mapping[str, Rounded]) -> None:
        super().__init__()
        check_trainable(network, outputs)
        self.network, self.outputs = network, tuple(outputs)
        places, _ = network.needed(outputs)
        self._nodes: list[Node] = [network.nodes[place] for place in sorted(places)]
        protos = [network.model.graph.node[node.index] for node in self._nodes]
        self._read = {
            node.index: (
                tuple(proto.input),
                {each.name: helper.get_attribute_value(each) for each in proto.attribute},
            )
            for node, proto in zip(self._nodes, protos, strict=True)
        }
        learned = {
            proto.input[place]
            for proto in protos
            for place in _TRAINED.get(proto.op_type, ())
            if place < len(proto.input)
        }.intersection(each.name for each in network.model.graph.initializer)
        self._constants: dict[str, Tensor] = {}
        self.weights = nn.ParameterDict()
        self._names: dict[str, str] = {}
        for name, value in constants_of(network, {name for names, _ in self._read.values() for name in names}).items():
            tensor = torch.from_numpy(np.array(value))
            if name in learned and tensor.dtype == torch.float32:
                self._names[name] = str(len(self._names))  # a parameter's name has no dots
                self.weights[self._names[name]] = nn.Parameter(tensor)
            else:
                self._constants[name] = tensor
        self._rounded = {name: how for name, how in rounded.items() if name in self._names and not how.is_bias}

    def named_weights(self) -> Mapping[str, nn.Parameter]:
        """By their names in the graph."""
        return {name: self.weights[key] for name, key in self._names.items()}

    def forward(self, picture: Tensor) -> Mapping[str, Tensor]:
        """Of one picture as the network takes it: each tensor that was asked for."""
        known: dict[str, Tensor] = {self.network.input.name: picture.float()}
        weights = {name: self._weight(name) for name in self._names}
        for node in self._nodes:
            known[node.outputs[0]] = self._made(node, known, weights)
        return {name: known[name] for name in self.outputs}

    @torch.no_grad()
    def made_by(self, node: Node, seen: Values) -> NDArray[Any]:
        """What one node makes of what it has in ONNX Runtime."""
        known = {name: torch.from_numpy(np.array(seen[name])).float() for name in node.inputs}
        weights = {name: self._weight(name) for name in self._read[node.index][0] if name in self._names}
        made: NDArray[Any] = self._made(node, known, weights).numpy()
        return made

    def _made(self, node: Node, known: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> Tensor:
        names, attributes = self._read[node.index]
        values = [
            None if not name else known[name] if name in known else weights.get(name, self._constants.get(name))
            for name in names
        ]
        try:
            return OPERATORS[node.operator](values, attributes)
        except NotTrainable as error:
            raise NotTrainable(f"node {node.name or node.index} ({node.operator}): {error}") from None

    def _weight(self, name: str) -> Tensor:
        weight: Tensor = self.weights[self._names[name]]
        if name not in self._rounded:
            return weight
        scale = torch.from_numpy(self._rounded[name].scales(weight.detach().numpy()))
        return round_straight_through(weight / scale) * scale

    @torch.no_grad()
    def written(self) -> onnx.ModelProto:
        """The network's graph with the weights as they are now."""
        model = onnx.ModelProto()
        model.CopyFrom(self.network.model)
        weights = self.named_weights()
        for constant in model.graph.initializer:
            if constant.name in weights:
                constant.CopyFrom(numpy_helper.from_array(weights[constant.name].numpy(), constant.name))
        return model


def check_trainable(network: Network, outputs: Sequence[str]) -> None:
    """See that what makes ``outputs`` can be trained.

    Raises:
        NotTrainable: a node is of an operator that is not trained here; the message names both.
    """
    for place in sorted(network.needed(outputs)[0]):
        node = network.nodes[place]
        if node.operator not in OPERATORS:
            called = f"node {node.name or node.index} of {network.name} is a {node.operator}"
            raise NotTrainable(f"{called}, which is not trained here; trained are {', '.join(OPERATORS)}")


def constants_of(network: Network, names: set[str]) -> Mapping[str, Any]:
    """Values of what does not depend on the picture: initialisers, and what the graph computes of them."""
    found = {each.name: numpy_helper.to_array(each) for each in network.model.graph.initializer if each.name in names}
    computed = sorted(names - found.keys() - network.tensors.keys() - {""})
    if not computed:
        return found
    asked = onnx.ModelProto()
    asked.CopyFrom(network.model)
    del asked.graph.output[:]
    asked.graph.output.extend(onnx.ValueInfoProto(name=name) for name in computed)
    options = SessionOptions()
    options.log_severity_level = 4
    session = InferenceSession(asked.SerializeToString(), options, providers=["CPUExecutionProvider"])
    picture = np.zeros(network.input.shape, network.input.dtype)
    values = session.run(computed, {network.input.name: picture})
    return found | dict(zip(computed, values, strict=True))
