"""A narrow encoder and a decoder at a cut, as nodes of the graph.

::

    cut's tensors ─► joined ─► Conv, stride s ─► whole numbers ═══ narrow_0 ═══► Conv ─► + ─► apart ─► the tail
    (of one size)              to few channels   of 8 bits, coded                Conv ─► Relu ─► Conv ─┘

Encoder and decoder begin as the principal components of what crosses (s × s neighbours of all channels at once), where
distance is weighed by the gradients of the answer: what it hangs on is kept before what merely varies. They are trained
from there. The step of the whole numbers is in the encoder's
weights: the rate teaches it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from narrows.contract.errors import NotTrainable
from narrows.models.bottleneck.components import Metric, components, root_of_moments
from narrows.models.bottleneck.pruning import with_outputs
from narrows.models.bottleneck.settings import NOISE
from narrows.models.split.cuts import Cut
from narrows.models.split.halves import Runner, Values
from narrows.models.split.network import Network, Tensor

NARROW = "narrow_{}"
_PREFIX = "narrows/pair{}/"
_BEHIND = "narrows/behind/"
"""Of what the tail makes again of a tensor that crosses, as the head does for itself."""
_BEGUN = 0.2
"""Of the usual deviation of weights that begin at random: the whole numbers that they read are about 5."""
_REFINED = 64
"""Channels in which the decoder mends what the linear part loses."""
_LEAST_OPSET = 13
"""From here on QuantizeLinear takes its axis, and Slice, Split and Resize their arguments, as they are written here."""
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Pair:
    """What is put at a cut.

    Attributes:
        channels: of what crosses; 0 for no pair.
        stride: by which it is smaller than the cut's tensors, in both directions.
        noise: see :class:`~narrows.models.bottleneck.settings.Settings`.
    """

    channels: int
    stride: int = 1
    noise: float = NOISE


@dataclass(frozen=True, eq=False)
class Inserted:
    """A graph with pairs.

    Attributes:
        narrow: what crosses now.
        narrow_floats: the same before it is rounded: the encoders' answers.
        decoded: what the decoders make of it, in place of the cut's tensors, by their names.
    """

    model: onnx.ModelProto
    narrow: tuple[str, ...]
    narrow_floats: tuple[str, ...]
    decoded: dict[str, str]


def insert_pairs(
    network: Network,
    cut: Cut,
    pair: Pair,
    feeds: Sequence[Values],
    seed: int,
    gradients: Mapping[str, Floats] | None = None,
) -> Inserted:
    """Put a pair at a cut: one for the tensors of each size.

    Args:
        network: of float weights.
        cut: its tensors become those of the pair.
        pair: its size.
        feeds: pictures to find principal components on.
        seed: of the weights that begin at random.
        gradients: of the answer at each of the cut's tensors, ``(N, C, H, W)``; without them all matters alike.

    Raises:
        NotTrainable: a tensor of the cut has no channels and sides, or the graph is of an opset without what is put in.
    """
    versions = [each.version for each in network.model.opset_import if each.domain in {"", "ai.onnx"}]
    if not versions or versions[0] < _LEAST_OPSET:
        raise NotTrainable(
            f"a network of opset {versions}: convert it to {_LEAST_OPSET} or later (onnx.version_converter)"
        )
    sizes: dict[tuple[int, ...], list[Tensor]] = {}
    for tensor in cut.tensors:
        if len(tensor.shape) != 4:
            raise NotTrainable(
                f"{tensor.name} is {tensor.shape}, not 1 x channels x height x width: choose another cut"
            )
        sizes.setdefault(tensor.shape[2:], []).append(tensor)
    model = onnx.ModelProto()
    model.CopyFrom(network.model)
    runner = Runner(with_outputs(network.model, cut.names), optimised=False)  # see pruning.seen_on
    seen = [runner(feed) for feed in feeds]
    parts = [
        _Part(network, model.graph, number, tuple(tensors), pair, np.random.default_rng(seed + number))
        for number, tensors in enumerate(sizes.values())
    ]
    heads, tails = [], []
    decoded: dict[str, str] = {}
    for part in parts:
        planes = np.concatenate([part.joined(values) for values in seen])
        head, tail = part.nodes(planes, part.metric(gradients))
        heads += head
        tails += tail
        decoded |= part.decoded
    _rewire(network, model.graph, cut, heads, tails, decoded)
    narrow = tuple(NARROW.format(number) for number in range(len(parts)))
    return Inserted(model, narrow, tuple(f"{_PREFIX.format(n)}encoded" for n in range(len(parts))), decoded)


def _rewire(
    network: Network,
    graph: onnx.GraphProto,
    cut: Cut,
    heads: list[onnx.NodeProto],
    tails: list[onnx.NodeProto],
    decoded: dict[str, str],
) -> None:
    """Let the tail read what is decoded; put the pair's nodes behind the head's. What both sides run is there twice."""
    inside = {network.nodes[place].index for place in cut.head}
    twice = {network.nodes[place].index for place in cut.head & cut.tail}
    renamed = dict(decoded)
    before: list[onnx.NodeProto] = []
    after: list[onnx.NodeProto] = []
    for index, proto in enumerate(graph.node):
        behind = index not in inside and set(proto.input).intersection(network.tensors)
        if not behind:
            before.append(onnx.NodeProto.FromString(proto.SerializeToString()))
        if behind or index in twice:
            node = onnx.NodeProto.FromString(proto.SerializeToString())
            if index in twice:
                node.name = f"{_BEHIND}{node.name}"
                renamed |= {name: f"{_BEHIND}{name}" for name in node.output}
                node.output[:] = [renamed[name] for name in node.output]
            node.input[:] = [renamed.get(name, name) for name in node.input]
            after.append(node)
    del graph.node[:]
    graph.node.extend([*before, *heads, *tails, *after])
    del graph.value_info[:]


class _Part:
    """The pair of those tensors of a cut that have one size."""

    def __init__(
        self,
        network: Network,
        graph: onnx.GraphProto,
        number: int,
        tensors: tuple[Tensor, ...],
        pair: Pair,
        random: np.random.Generator,
    ) -> None:
        self.graph, self.tensors, self.pair, self.random = graph, tensors, pair, random
        self.prefix, self.narrow = _PREFIX.format(number), NARROW.format(number)
        self.quantised = {tensor.name: _scale_of(network, tensor) for tensor in tensors if not tensor.is_float}
        self.constants = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
        self.decoded = {tensor.name: f"{self.prefix}decoded_{place}" for place, tensor in enumerate(tensors)}
        self.channels = sum(tensor.shape[1] for tensor in tensors)
        self.height, self.width = tensors[0].shape[2:]

    def joined(self, values: Values) -> Floats:
        """The tensors as the encoder reads them, ``(1, C, H, W)``, with the sides that the stride needs."""
        floats = [self._floats(tensor, values) for tensor in self.tensors]
        right, down = -self.width % self.pair.stride, -self.height % self.pair.stride
        return np.pad(np.concatenate(floats, axis=1), ((0, 0), (0, 0), (0, down), (0, right)))

    def _floats(self, tensor: Tensor, values: Values) -> Floats:
        floats: Floats = values[tensor.name].astype(np.float32)
        if tensor.name in self.quantised:
            scale, zero = (self.constants[name].astype(np.float32) for name in self.quantised[tensor.name])
            floats = (floats - zero) * scale
        return floats

    def metric(self, gradients: Mapping[str, Floats] | None) -> Metric:
        """How distance between what crosses and what arrives is weighed."""
        if gradients is None:
            return np.eye(self.channels)
        scaled = []
        for tensor in self.tensors:
            given = gradients[tensor.name].astype(np.float64)
            if tensor.name in self.quantised:
                given = given / self.constants[self.quantised[tensor.name][0]]
            scaled.append(given.transpose(1, 0, 2, 3).reshape(tensor.shape[1], -1))
        return root_of_moments(np.concatenate(scaled))

    def nodes(self, planes: Floats, metric: Metric) -> tuple[list[onnx.NodeProto], list[onnx.NodeProto]]:
        """Those of the encoder and of the decoder; their weights are put into the graph."""
        step = self.pair.stride
        basis, mean, unit = components(
            np.einsum("dc,nchw->ndhw", metric, planes), self.pair.channels, step, self.pair.noise
        )
        count = len(basis)
        square = basis.reshape(count, self.channels, step, step)
        back = np.linalg.inv(metric)
        wide = self.channels * step**2
        hidden = max(_REFINED, count)
        spread = np.sqrt(2 / (9 * count)) * _BEGUN
        self._put("encoder/weight", np.einsum("kdij,dc->kcij", square, metric) / unit)
        self._put("encoder/bias", -(basis @ mean) / unit)
        self._put("decoder/weight", np.einsum("cd,kdij->cijk", back, square).reshape(wide, count, 1, 1) * unit)
        self._put("decoder/bias", (back @ mean.reshape(self.channels, -1)).ravel())
        first = self.random.standard_normal((hidden, count, 3, 3)) * spread
        self._put("decoder/first/weight", first)
        self._put("decoder/first/bias", np.zeros(hidden))
        self._put("decoder/second/weight", np.zeros((wide, hidden, 1, 1)))
        self._put("unit", np.asarray(1, np.float32))
        self._put("zero", np.asarray(0, np.int8))
        return self._encoder(), self._decoder()

    def _encoder(self) -> list[onnx.NodeProto]:
        nodes, read = [], []
        for place, tensor in enumerate(self.tensors):
            name = tensor.name
            if name in self.quantised:
                name = f"{self.prefix}floats_{place}"
                nodes.append(self._node("DequantizeLinear", [tensor.name, *self.quantised[tensor.name]], name))
            read.append(name)
        if len(read) > 1:
            nodes.append(self._node("Concat", read, f"{self.prefix}joined", axis=1))
            read = [f"{self.prefix}joined"]
        step = self.pair.stride
        pads = [0, 0, -self.height % step, -self.width % step]
        weights = [f"{self.prefix}encoder/{part}" for part in ("weight", "bias")]
        conv = self._node(
            "Conv",
            [*read, *weights],
            f"{self.prefix}encoded",
            strides=[step, step],
            kernel_shape=[step, step],
            pads=pads,
        )
        rounded = [f"{self.prefix}encoded", f"{self.prefix}unit", f"{self.prefix}zero"]
        return [*nodes, conv, self._node("QuantizeLinear", rounded, self.narrow)]

    def _decoder(self) -> list[onnx.NodeProto]:
        at, step = self.prefix, self.pair.stride
        nodes = [
            self._node("DequantizeLinear", [self.narrow, f"{at}unit", f"{at}zero"], f"{at}received"),
            self._node("Conv", [f"{at}received", f"{at}decoder/weight", f"{at}decoder/bias"], f"{at}linear"),
            self._node(
                "Conv", [f"{at}received", f"{at}decoder/first/weight", f"{at}decoder/first/bias"], f"{at}first",
                pads=[1, 1, 1, 1], kernel_shape=[3, 3],
            ),
            self._node("Relu", [f"{at}first"], f"{at}rectified"),
            self._node("Conv", [f"{at}rectified", f"{at}decoder/second/weight"], f"{at}mended"),
            self._node("Add", [f"{at}linear", f"{at}mended"], f"{at}added"),
        ]  # fmt: skip
        last = f"{at}added"
        if step > 1:
            nodes.append(self._node("DepthToSpace", [last], f"{at}spread", blocksize=step, mode="CRD"))
            last = f"{at}spread"
        if self.height % step or self.width % step:
            self._put("begin", np.zeros(2, np.int64))
            self._put("end", np.array([self.height, self.width], np.int64))
            self._put("sides", np.array([2, 3], np.int64))
            nodes.append(self._node("Slice", [last, f"{at}begin", f"{at}end", f"{at}sides"], f"{at}cropped"))
            last = f"{at}cropped"
        return [*nodes, *self._apart(last)]

    def _apart(self, joined: str) -> list[onnx.NodeProto]:
        """Each tensor of the cut as it was: its channels, and its whole numbers if it had such."""
        nodes, first = [], 0
        self._put("channels", np.array([1], np.int64))
        for place, tensor in enumerate(self.tensors):
            name, last = joined, first + tensor.shape[1]
            if len(self.tensors) > 1:
                name = f"{self.prefix}part_{place}"
                for part, value in (("from", first), ("to", last)):
                    self._put(f"{part}_{place}", np.array([value], np.int64))
                bounds = [f"{self.prefix}{part}" for part in (f"from_{place}", f"to_{place}", "channels")]
                nodes.append(self._node("Slice", [joined, *bounds], name))
            first = last
            if tensor.name in self.quantised:
                inputs = [name, *self.quantised[tensor.name]]
                nodes.append(self._node("QuantizeLinear", inputs, self.decoded[tensor.name]))
            else:
                nodes.append(self._node("Identity", [name], self.decoded[tensor.name]))
        return nodes

    def _node(self, operator: str, inputs: Sequence[str], output: str, **attributes: Any) -> onnx.NodeProto:  # noqa: ANN401 -- as make_node takes them
        return helper.make_node(operator, inputs, [output], name=f"{output}/node", **attributes)

    def _put(self, name: str, values: NDArray[np.generic]) -> None:
        values = values.astype(np.float32) if values.dtype.kind == "f" else values
        self.graph.initializer.append(numpy_helper.from_array(values, f"{self.prefix}{name}"))


def _scale_of(network: Network, tensor: Tensor) -> tuple[str, str]:
    """Names of the scale and the zero of a tensor in whole numbers.

    Raises:
        NotTrainable: no QuantizeLinear made it.
    """
    place = network.maker.get(tensor.name)
    if place is None or network.nodes[place].operator != "QuantizeLinear":
        raise NotTrainable(
            f"{tensor.name} is {tensor.dtype}: indices and counts cannot be narrowed; choose another cut"
        )
    _, scale, zero = network.model.graph.node[network.nodes[place].index].input
    return scale, zero
