"""From a file to a :class:`Network`, or to a named error that says why it cannot be split.

::

    file ─► checked ─► input fixed ─► shapes inferred ─► run once ─► the rest observed ─► shapes folded ─► live nodes
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper, shape_inference

from narrows.contract.errors import (
    ControlFlow,
    OperatorUnknown,
    SeveralInputs,
    ShapeDynamic,
    SplitError,
)
from narrows.models.export.cost import node_macs
from narrows.models.split.network import DTYPES, Network, Node, Shape, Tensor
from narrows.models.split.reading import SERVE_WHOLE, check_inside, read_network
from narrows.models.split.running import answers, black, check_input

_STANDARD_DOMAINS = ("", "ai.onnx", "ai.onnx.ml")
_FIRST_IR_WITH_PLAIN_INITIALISERS = 4
_SHAPED_BY_DATA = frozenset({"NonZero", "NonMaxSuppression", "Unique", "Compress", "StringNormalizer", "StringSplit"})
_SHAPING_INPUTS = {
    "Reshape": 1, "Expand": 1, "Tile": 1, "Slice": 1, "Pad": 1, "TopK": 1, "Resize": 1, "Upsample": 1, "Range": 0,
    "ConstantOfShape": 0, "OneHot": 1, "CenterCropPad": 1, "Unsqueeze": 1, "Squeeze": 1,
}  # fmt: skip
"""From which input on a node's inputs say what shape its output has."""


def open_network(path: Path, input_shape: Sequence[int] | None = None) -> Network:
    """Read an unmodified ONNX file.

    Args:
        path: of the file.
        input_shape: of the input, where the file leaves it open; where the file fixes it, they must agree.

    Raises:
        SplitError: it cannot be read, or not be split; the class and the message say why.
    """
    model, digest = read_network(path)
    check_inside(model, path)
    _check_nodes(model)
    _check_names(model)
    source, outputs = fix_input(model, input_shape), outputs_of(model, path)
    inferred = _inferred(model)
    answers(model, path.name, source, outputs, [black(source)])
    live = _describe(model, inferred, path.name, source)
    tensors = _tensors(model, live)
    if stray := [name for name in outputs if name not in live]:
        raise SplitError(f"output {stray[0]} of {path.name} does not depend on the input")
    return Network(path.stem, digest, model, source, outputs, _nodes(model, live, tensors), tensors)


def outputs_of(model: onnx.ModelProto, path: Path) -> tuple[str, ...]:
    """Their names.

    Raises:
        SplitError: there are none, or one is there twice.
    """
    names = tuple(value.name for value in model.graph.output)
    if not names:
        raise SplitError(f"{path.name} has no output: nothing comes of it")
    if len(set(names)) < len(names):
        raise SplitError(f"{path.name} has an output twice: {', '.join(names)}")
    return names


def _check_nodes(model: onnx.ModelProto) -> None:
    versions = {entry.domain: entry.version for entry in model.opset_import}
    for number, node in enumerate(model.graph.node):
        called = f"node {node.name or number} ({node.op_type})"
        if any(each.type in {onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS} for each in node.attribute):
            raise ControlFlow(f"{called} holds a graph of its own, which may or may not run: {SERVE_WHOLE}")
        domain = "" if node.domain == "ai.onnx" else node.domain
        version = versions.get(domain, versions.get("ai.onnx", 1))
        if node.domain not in _STANDARD_DOMAINS or not onnx.defs.has(node.op_type, version, domain):
            raise OperatorUnknown(
                f"{called} is no operator of ONNX, domain {node.domain or 'ai.onnx'!r}, version {version}: what shape "
                f"it gives is not known; {SERVE_WHOLE}"
            )
        if node.op_type in _SHAPED_BY_DATA:
            raise ShapeDynamic(f"{called} gives as many values as the picture has it give: {SERVE_WHOLE}")


def _check_names(model: onnx.ModelProto) -> None:
    there = {"", *(each.name for each in model.graph.initializer), *(each.name for each in model.graph.input)}
    for node in model.graph.node:
        if missing := [name for name in node.input if name not in there]:
            raise SplitError(f"the graph contradicts itself: nothing makes {missing[0]}, which {node.op_type} reads")
        there.update(node.output)


def fix_input(model: onnx.ModelProto, wanted: Sequence[int] | None) -> Tensor:
    """Leave one input, of fixed shape, which is returned; forget shapes that the file claims of what follows.

    Raises:
        SeveralInputs, ShapeDynamic: see :func:`open_network`.
        SplitError: its numbers are of no dtype that pictures have, or too many.
    """
    graph = model.graph
    constants = {constant.name for constant in graph.initializer}
    given = [value for value in graph.input if value.name not in constants]
    if len(given) != 1:
        names = ", ".join(value.name for value in given) or "none"
        raise SeveralInputs(f"a network that is split has one input, the picture; this one has {names}")
    source = given[0]
    dims = source.type.tensor_type.shape.dim
    described = "x".join(str(dim.dim_value) if dim.dim_value > 0 else dim.dim_param or "?" for dim in dims)
    described = described or "of unknown rank"
    if wanted is None and (not dims or any(dim.dim_value <= 0 for dim in dims)):
        raise ShapeDynamic(f"input {source.name} is {described}: say which with --input-shape")
    if wanted is not None:
        if source.type.HasField("tensor_type") and not source.type.tensor_type.HasField("shape"):
            dims.extend(onnx.TensorShapeProto.Dimension() for _ in wanted)
        fits = len(wanted) == len(dims) and all(
            asked > 0 and (dim.dim_value <= 0 or dim.dim_value == asked)
            for dim, asked in zip(dims, wanted, strict=True)
        )
        if not fits:
            raise ShapeDynamic(f"input {source.name} is {described}; {'x'.join(map(str, wanted))} is none of that kind")
        for dim, asked in zip(dims, wanted, strict=True):
            dim.dim_value = asked
    del graph.input[:]
    graph.input.append(source)
    del graph.value_info[:]
    for value in graph.output:
        if value.type.HasField("tensor_type"):
            value.type.tensor_type.ClearField("shape")
    model.ir_version = max(model.ir_version, _FIRST_IR_WITH_PLAIN_INITIALISERS)
    found = Tensor(source.name, shape_of(source), dtype_of(source))
    check_input(found)
    return found


def _inferred(model: onnx.ModelProto) -> onnx.ModelProto:
    try:
        return shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    except (shape_inference.InferenceError, ValueError) as error:
        raise SplitError(f"the graph contradicts itself: {' '.join(str(error).split())}") from None


def _describe(model: onnx.ModelProto, inferred: onnx.ModelProto, called: str, source: Tensor) -> frozenset[str]:
    """Give every live tensor its shape in ``value_info``, fold nodes that ask for shapes; the names that are live then.

    A tensor that was asked for its shape alone is live no more: nobody needs it.
    """
    live = _live(model)
    _check_shaping(model, live)
    known = {value.name: value for value in (*inferred.graph.value_info, *inferred.graph.output) if _fixed(value)}
    missing = sorted(live - known.keys() - {model.graph.input[0].name})
    known |= _observed(model, called, source, missing) if missing else {}
    for value in model.graph.output:
        value.CopyFrom(known.get(value.name, value))
    outputs = {value.name for value in model.graph.output}
    model.graph.value_info.extend(known[name] for name in live if name in known and name not in outputs)
    _fold_shapes(model, known)
    return _live(model)


def _live(model: onnx.ModelProto) -> frozenset[str]:
    """What depends on the input's values and is needed for an output."""
    reached = {model.graph.input[0].name}
    for node in model.graph.node:
        if node.op_type not in {"Shape", "Size"} and reached.intersection(node.input):
            reached.update(filter(None, node.output))
    needed = {value.name for value in model.graph.output}
    for node in reversed(model.graph.node):
        if needed.intersection(node.output):
            needed.update(filter(None, node.input))
    return frozenset(reached & needed)


def _check_shaping(model: onnx.ModelProto, live: frozenset[str]) -> None:
    for node in model.graph.node:
        first = _SHAPING_INPUTS.get(node.op_type)
        if first is not None and live.intersection(node.input[first:]) and live.intersection(node.output):
            raise ShapeDynamic(
                f"{node.op_type} {node.name} makes {node.output[0]} of a size that depends on the picture: "
                f"{SERVE_WHOLE}"
            )


def _fixed(value: onnx.ValueInfoProto) -> bool:
    described = value.type.tensor_type
    return described.HasField("shape") and all(dim.dim_value > 0 for dim in described.shape.dim)


def _observed(
    model: onnx.ModelProto, called: str, source: Tensor, names: Sequence[str]
) -> Mapping[str, onnx.ValueInfoProto]:
    """What ONNX cannot infer, ONNX Runtime knows once it has run; nothing here depends on the picture's values."""
    asked = onnx.ModelProto()
    asked.CopyFrom(model)
    del asked.graph.output[:]
    asked.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    (values,) = answers(asked, called, source, names, [black(source)])
    if lists := [name for name, value in zip(names, values, strict=True) if not isinstance(value, np.ndarray)]:
        raise SplitError(f"{lists[0]} of {called} is a sequence, no tensor: {SERVE_WHOLE}")
    return {
        name: onnx.helper.make_tensor_value_info(
            name, onnx.helper.np_dtype_to_tensor_dtype(value.dtype), list(value.shape)
        )
        for name, value in zip(names, values, strict=True)
    }


def _fold_shapes(model: onnx.ModelProto, known: Mapping[str, onnx.ValueInfoProto]) -> None:
    """A node that asks for the shape of a live tensor becomes the answer, so that the tail does not need the tensor."""
    source = model.graph.input[0]
    shapes = {name: shape_of(value) for name, value in known.items()} | {source.name: shape_of(source)}
    for node in model.graph.node:
        if node.op_type not in {"Shape", "Size"} or node.input[0] not in shapes:
            continue
        shape = shapes[node.input[0]]
        bounds = {each.name: each.i for each in node.attribute}
        answer = np.array(shape, np.int64)[bounds.get("start", 0) : bounds.get("end", len(shape))]
        if node.op_type == "Size":
            answer = answer.prod()
        folded = onnx.helper.make_node("Constant", [], list(node.output), name=node.name)
        folded.attribute.append(onnx.helper.make_attribute("value", numpy_helper.from_array(answer)))
        node.CopyFrom(folded)


def shape_of(value: onnx.ValueInfoProto) -> Shape:
    """As it is declared, 0 where it is open."""
    return tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)


def dtype_of(value: onnx.ValueInfoProto) -> str:
    """As NumPy calls it.

    Raises:
        SplitError: it is none that split networks pass.
    """
    kind = value.type.tensor_type.elem_type
    known = kind in onnx.TensorProto.DataType.values()
    name = str(onnx.helper.tensor_dtype_to_np_dtype(kind)) if kind and known else "no tensor"
    if name not in DTYPES:
        raise SplitError(f"{value.name} is {name}; split networks pass {', '.join(sorted(DTYPES))}")
    return name


def _tensors(model: onnx.ModelProto, live: frozenset[str]) -> Mapping[str, Tensor]:
    described = {value.name: value for value in (*model.graph.value_info, *model.graph.output, *model.graph.input)}
    order = [model.graph.input[0].name, *(name for node in model.graph.node for name in node.output)]
    return {name: Tensor(name, shape_of(described[name]), dtype_of(described[name])) for name in order if name in live}


def _nodes(model: onnx.ModelProto, live: frozenset[str], tensors: Mapping[str, Tensor]) -> tuple[Node, ...]:
    constants = _constants(model, live)
    shapes = {name: tensor.shape for name, tensor in (*tensors.items(), *constants.items())}
    found = []
    for index, node in enumerate(model.graph.node):
        if live.intersection(node.output):
            inputs = tuple(dict.fromkeys(name for name in node.input if name in live))
            outputs = tuple(name for name in node.output if name in live)
            weights_bytes = sum(constants[name].size_bytes for name in set(node.input) if name in constants)
            macs = node_macs(node, shapes)
            found.append(Node(index, node.name, node.op_type, inputs, outputs, macs, weights_bytes))
    return tuple(found)


def _constants(model: onnx.ModelProto, live: frozenset[str]) -> Mapping[str, Tensor]:
    """Initialisers, and what constant nodes make, as far as ONNX infers its shape."""
    inferred = shape_inference.infer_shapes(model, data_prop=True).graph.value_info
    described = [value for value in inferred if value.name not in live and _fixed(value)]
    made = {value.name: Tensor(value.name, shape_of(value), dtype_of(value)) for value in described}
    return made | {
        each.name: Tensor(each.name, tuple(each.dims), str(onnx.helper.tensor_dtype_to_np_dtype(each.data_type)))
        for each in model.graph.initializer
    }
