"""The graphs of a cut as a bundle ships them: unmodified in between, with plain names and the picture in front.

::

    head   picture uint8 (1, H, W, 3) ─ normalised, ordered ─► the network's nodes ─► tensor_0, tensor_1, …
    tail   tensor_0, tensor_1, … ─► the network's nodes ─ as its kind wants it ─► each output
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, compose, helper, numpy_helper

from narrows.contract.bundle.split_manifest import tensor_name
from narrows.contract.errors import SplitError
from narrows.contract.outputs import Output
from narrows.contract.outputs.labels import KIND as LABELS
from narrows.contract.outputs.scores import KIND as SCORES
from narrows.models.split.feeding import Feeding
from narrows.models.split.halves import Halves, Runner, Values
from narrows.runtime.onnx_runtime import REFUSALS

PICTURE = "picture"
_FIRST_OPSET_THAT_BROADCASTS = 7
_PREFIX, _NETWORK = "narrows/", "network/"
_CLOSE = 1e-4
"""Of the largest value: batches are computed in another order, which moves the last digits."""
_TYPES = {"float32": TensorProto.FLOAT, "float16": TensorProto.FLOAT16, "uint8": TensorProto.UINT8}


def shipped_head(halves: Halves, feeding: Feeding) -> onnx.ModelProto:
    """What cameras run.

    Raises:
        SplitError: the network is of an opset that does not broadcast, or takes pictures as another type.
    """
    source = halves.network.input
    head = compose.add_prefix(halves.head, _NETWORK)  # no name of the network's is one of ours
    graph = head.graph
    first = picture_nodes(head, feeding, _NETWORK + source.name)
    last = [_identity(_NETWORK + name, tensor_name(place)) for place, name in enumerate(halves.cut.names)]
    _set_nodes(graph, first, last)
    picture = helper.make_tensor_value_info(PICTURE, TensorProto.UINT8, (1, feeding.height, feeding.width, 3))
    outputs = [
        helper.make_tensor_value_info(tensor_name(place), helper.np_dtype_to_tensor_dtype(np.dtype(t.dtype)), t.shape)
        for place, t in enumerate(halves.cut.tensors)
    ]
    _set_signature(graph, [picture], outputs)
    return head


def shipped_tail(halves: Halves, outputs: Sequence[Output]) -> onnx.ModelProto:
    """What Triton runs: a batch of 1. ``outputs`` are those of the network, in its order."""
    tail = compose.add_prefix(halves.tail, _NETWORK)
    tensors = halves.cut.tensors
    first = [_identity(tensor_name(place), _NETWORK + tensor.name) for place, tensor in enumerate(tensors)]
    last, constants = [], []
    for name, output in zip(halves.network.outputs, outputs, strict=True):
        published = _publishing(_NETWORK + name, len(halves.network.tensors[name].shape), output)
        last += published[0]
        constants += published[1]
    tail.graph.initializer.extend(constants)
    _set_nodes(tail.graph, first, last)
    inputs = [_declared(tensor_name(place), tensor.dtype, tensor.shape) for place, tensor in enumerate(tensors)]
    _set_signature(tail.graph, inputs, [_declared(o.name, o.dtype, (1, *o.shape)) for o in outputs])
    return tail


def batched(tail: onnx.ModelProto, samples: Sequence[Values]) -> onnx.ModelProto | None:
    """A tail of any batch, if it answers two pictures at once as it answers each alone; else ``None``.

    A batch of 1 that is written into a Reshape becomes the batch that comes.

    ``samples`` are what crosses on two pictures, by the tail's names.
    """
    free = onnx.ModelProto()
    free.CopyFrom(tail)
    for value in (*free.graph.input, *free.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    _reshape_any_batch(free.graph)
    alone = [Runner(tail)(sample) for sample in samples]
    together = {name: np.concatenate([sample[name] for sample in samples]) for name in samples[0]}
    try:
        answered = Runner(free)(together)
    except REFUSALS:  # this graph has its batch of 1 written into it
        return None
    names = [value.name for value in tail.graph.output]
    return free if all(_alike(answered[name], [each[name] for each in alone]) for name in names) else None


def _reshape_any_batch(graph: onnx.GraphProto) -> None:
    """Where a Reshape's constant shape begins with 1, let it begin with 0: as many as come in."""
    reshaping = {node.input[1] for node in graph.node if node.op_type == "Reshape"}
    for constant in graph.initializer:
        if constant.name in reshaping:
            constant.CopyFrom(numpy_helper.from_array(_any_batch(numpy_helper.to_array(constant)), constant.name))
    for node in graph.node:
        if node.op_type == "Constant" and node.output[0] in reshaping:
            (given,) = node.attribute
            sides = numpy_helper.to_array(given.t) if given.name == "value" else np.array(given.ints, np.int64)
            del node.attribute[:]
            node.attribute.append(helper.make_attribute("value", numpy_helper.from_array(_any_batch(sides))))


def _any_batch(sides: NDArray[Any]) -> NDArray[Any]:
    return np.where((np.arange(sides.size) == 0) & (sides == 1), 0, sides).astype(np.int64)


def _alike(together: NDArray[np.generic], alone: Sequence[NDArray[np.generic]]) -> bool:
    wanted = np.concatenate(alone)
    if together.shape != wanted.shape:
        return False
    span = max(1.0, float(np.abs(wanted.astype(np.float64)).max(initial=0)))
    return bool(np.allclose(together.astype(np.float64), wanted.astype(np.float64), atol=_CLOSE * span))


def picture_nodes(
    model: onnx.ModelProto, feeding: Feeding, source: str, begin: str = PICTURE, prefix: str = _PREFIX
) -> list[onnx.NodeProto]:
    """From a picture, uint8 (1, H, W, 3), to the input ``source``, as :meth:`Feeding.feed` computes it, to the bit.

    Raises:
        SplitError: see :func:`shipped_head`.
    """
    if feeding.dtype not in _TYPES:
        raise SplitError(
            f"input {source.removeprefix(_NETWORK)} is {feeding.dtype}; pictures are made {' or '.join(_TYPES)}"
        )
    versions = [entry.version for entry in model.opset_import if entry.domain in {"", "ai.onnx"}]
    if not versions or versions[0] < _FIRST_OPSET_THAT_BROADCASTS:
        raise SplitError(f"a network of opset {versions}: convert it to {_FIRST_OPSET_THAT_BROADCASTS} or later")
    given, nodes, at = feeding.normalisation, [], begin
    steps: list[tuple[str, Mapping[str, Any], NDArray[np.generic] | None]] = []
    if feeding.dtype.startswith("float"):
        steps += [
            ("Cast", {"to": TensorProto.FLOAT}, None),
            ("Sub", {}, np.array(given.mean, np.float32)),
            ("Div", {}, np.array(given.deviation, np.float32)),
        ]
    if given.bgr:
        steps.append(("Gather", {"axis": 3}, np.array([2, 1, 0], np.int64)))
    if feeding.planes_first:
        steps.append(("Transpose", {"perm": [0, 3, 1, 2]}, None))
    steps.append(("Cast", {"to": _TYPES[feeding.dtype]}, None))
    for number, (operator, attributes, constant) in enumerate(steps):
        inputs = [at]
        if constant is not None:
            inputs.append(f"{prefix}constant_{number}")
            model.graph.initializer.append(numpy_helper.from_array(constant, inputs[1]))
        at = source if number == len(steps) - 1 else f"{prefix}picture_{number}"
        nodes.append(helper.make_node(operator, inputs, [at], name=f"{prefix}step_{number}", **attributes))
    return nodes


def _publishing(name: str, rank: int, output: Output) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """From an output as the network has it to one as the bundle declares it: its type and sides."""
    shaped, constants = name, []
    nodes = []
    if (output.kind == SCORES and rank > 2) or (output.kind == LABELS and rank > 3):
        shaped = f"{_PREFIX}shaped/{output.name}"
        if output.kind == SCORES:
            nodes.append(helper.make_node("Flatten", [name], [shaped], axis=1))
        else:
            nodes.append(helper.make_node("Reshape", [name, f"{_PREFIX}shape/{output.name}"], [shaped]))
            sides = np.array([0, *output.shape], np.int64)
            sides[0] = -1
            constants.append(numpy_helper.from_array(sides, f"{_PREFIX}shape/{output.name}"))
    nodes.append(helper.make_node("Cast", [shaped], [output.name], to=_TYPES[output.dtype]))
    return nodes, constants


def _identity(before: str, after: str) -> onnx.NodeProto:
    return helper.make_node("Identity", [before], [after], name=f"{_PREFIX}{after}")


def _declared(name: str, dtype: str, shape: Sequence[int]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape)


def _set_nodes(graph: onnx.GraphProto, first: Sequence[onnx.NodeProto], last: Sequence[onnx.NodeProto]) -> None:
    nodes = [*first, *graph.node, *last]
    del graph.node[:]
    graph.node.extend(nodes)


def _set_signature(
    graph: onnx.GraphProto, inputs: Sequence[onnx.ValueInfoProto], outputs: Sequence[onnx.ValueInfoProto]
) -> None:
    del graph.input[:]
    del graph.output[:]
    del graph.value_info[:]  # of a batch of 1, and of names that are inputs no more
    graph.input.extend(inputs)
    graph.output.extend(outputs)
