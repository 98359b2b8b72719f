"""A network that cannot be split is served whole: the picture itself crosses, and all of the network runs in the cloud.

::

    head   picture uint8 (1, H, W, 3) ─ planes ─► whole_picture uint8 (1, 3, H, W)
    tail   whole_picture ─ normalised, ordered ─► the network, as it is ─► its outputs

Nothing is asked of the graph but one picture in and tensors of fixed shape out: it may branch, or keep its weights in
another file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from narrows.contract.errors import ShapeDynamic, SplitError
from narrows.models.split.cuts import Cut
from narrows.models.split.device import Effort, Local
from narrows.models.split.feeding import Feeding
from narrows.models.split.halves import Halves
from narrows.models.split.network import Network, Node, Tensor
from narrows.models.split.opening import fix_input, outputs_of
from narrows.models.split.profile import Profile, measure_nodes
from narrows.models.split.reading import read_joined
from narrows.models.split.running import answers, black
from narrows.models.split.shipped_graphs import PICTURE, picture_nodes

WHOLE = "whole_picture"
_OPSET, _IR = 13, 8


def open_whole(path: Path, input_shape: tuple[int, ...] | None = None) -> Network:
    """A network of one node, which is all of it. Its outputs' shapes are observed.

    Args:
        path: of the file; weights beside it are read, too.
        input_shape: as in :func:`narrows.models.split.opening.open_network`.

    Raises:
        SeveralInputs: it takes more than the picture.
        ShapeDynamic: its input is left open, or an output's shape changes with the picture.
        NotRunnable: ONNX Runtime cannot run it.
        SplitError: it cannot be read, is beyond 2 GiB, or an output is no tensor.
    """
    model, digest = read_joined(path)
    source, names = fix_input(model, input_shape), outputs_of(model, path)
    random = np.random.default_rng(0).random(source.shape) * (1 if source.is_float else 255)
    first, second = answers(model, path.name, source, names, [black(source), random])
    for name, one, other in zip(names, first, second, strict=True):
        if not isinstance(one, np.ndarray):
            raise SplitError(f"output {name} of {path.name} is no tensor: it cannot travel")
        if one.shape != other.shape:
            raise ShapeDynamic(
                f"output {name} of {path.name} is {_sides(one)} for one picture and {_sides(other)} for another: "
                "outputs that travel have a fixed shape"
            )
    made = {name: Tensor(name, value.shape, str(value.dtype)) for name, value in zip(names, first, strict=True)}
    node = Node(0, WHOLE, WHOLE, (source.name,), names, 0, model.ByteSize())
    return Network(path.stem, digest, model, source, names, (node,), {source.name: source} | made)


def _sides(value: NDArray[Any]) -> str:
    return "x".join(map(str, value.shape))


def profile_whole(network: Network, feeding: Feeding, effort: Effort) -> Profile:
    """What it takes on this machine, and the one cut that there is: before all of it.

    Raises:
        ProfilingFailed: see :func:`narrows.models.split.profile.measure_nodes`.
    """
    times = measure_nodes(network, Local(), effort)
    picture = Tensor(WHOLE, (1, 3, feeding.height, feeding.width), "uint8")
    return Profile(network, times, times, (Cut((picture,), frozenset(), frozenset({0}), 0, 0),))


def whole_halves(network: Network, cut: Cut, feeding: Feeding) -> tuple[Halves, onnx.ModelProto]:
    """Both graphs, and the head as cameras run it."""
    (picture,) = cut.tensors
    shape = (1, feeding.height, feeding.width, 3)
    node = helper.make_node("Transpose", [PICTURE], ["tensor_0"], perm=[0, 3, 1, 2])
    taken = helper.make_tensor_value_info(PICTURE, TensorProto.UINT8, shape)
    given = helper.make_tensor_value_info("tensor_0", TensorProto.UINT8, picture.shape)
    graph = helper.make_graph([node], WHOLE, [taken], [given])
    head = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR)
    tail, prefix = onnx.ModelProto(), _unused_prefix(network.model)
    tail.CopyFrom(network.model)
    placed = helper.make_node("Transpose", [WHOLE], [f"{prefix}placed"], perm=[0, 2, 3, 1])
    first = picture_nodes(tail, feeding, network.input.name, begin=f"{prefix}placed", prefix=prefix)
    nodes = [placed, *first, *tail.graph.node]
    del tail.graph.node[:]
    tail.graph.node.extend(nodes)
    del tail.graph.input[:]
    tail.graph.input.append(helper.make_tensor_value_info(WHOLE, TensorProto.UINT8, picture.shape))
    return Halves(network, cut, head, tail), head


def _unused_prefix(model: onnx.ModelProto) -> str:
    """Which no name in the graph begins with: the network may be one that was exported here."""
    text, prefix = model.SerializeToString(), "narrows/"
    while prefix.encode() in text:
        prefix = f"narrows/{prefix}"
    return prefix
