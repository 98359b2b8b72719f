"""The bytes of a network: one file, or one with weights beside it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx import external_data_helper, inliner

from narrows.contract.errors import ExternalData, NetworkTooLarge, SplitError

MOST_BYTES = 2**31 - 1
"""Of a protobuf message; larger networks keep their weights outside."""
SERVE_WHOLE = "serve it whole (narrows split export --whole)"
"""What remains for a network that cannot be split."""


def read_network(path: Path) -> tuple[onnx.ModelProto, str]:
    """A file, its functions inlined, and its SHA-256.

    Raises:
        NetworkTooLarge: it is larger than one message may be.
        SplitError: it cannot be read, or is no network.
    """
    try:
        size_bytes = path.stat().st_size
        if size_bytes > MOST_BYTES:
            raise NetworkTooLarge(f"{path} has {size_bytes:,} bytes; a network of one file has {MOST_BYTES:,} at most")
        data = path.read_bytes()
    except OSError as error:
        raise SplitError(f"{path} cannot be read: {error.strerror}") from None
    try:
        model = onnx.load_model_from_string(data)
    except (DecodeError, ValueError, TypeError):
        raise SplitError(f"{path} is no ONNX file") from None
    if not model.graph.node:
        raise SplitError(f"{path} is no ONNX file, or its graph has no node")
    if model.functions:
        try:
            model = inliner.inline_local_functions(model)
        except (onnx.checker.ValidationError, RuntimeError, ValueError) as error:
            raise SplitError(f"functions of {path} cannot be inlined: {' '.join(str(error).split())}") from None
    model.graph.ClearField("quantization_annotation")  # nothing computes by it, and onnx takes no such graph apart
    return model, hashlib.sha256(data).hexdigest()


def read_joined(path: Path) -> tuple[onnx.ModelProto, str]:
    """A file with what it keeps in others, and the SHA-256 of that.

    Raises:
        NetworkTooLarge: it is larger than one message may be.
        SplitError: something cannot be read.
    """
    model, digest = read_network(path)
    outside = _outside(model)
    if not outside:
        return model, digest
    places = {entry.value for constant in outside for entry in constant.external_data if entry.key == "location"}
    try:
        size_bytes = model.ByteSize() + sum((path.parent / place).stat().st_size for place in places)
        if size_bytes > MOST_BYTES:
            raise NetworkTooLarge(f"{path} has {size_bytes:,} bytes with its weights; {MOST_BYTES:,} are the most")
        external_data_helper.load_external_data_for_model(model, str(path.parent))
    except (OSError, ValueError, onnx.checker.ValidationError) as error:
        raise SplitError(f"{path} keeps weights in another file, which cannot be read: {error}") from None
    return model, hashlib.sha256(model.SerializeToString()).hexdigest()


def _outside(model: onnx.ModelProto) -> list[onnx.TensorProto]:
    return [each for each in _constants(model.graph) if each.data_location == onnx.TensorProto.EXTERNAL]


def _constants(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    """Initialisers, and what nodes have as attributes, those of graphs within it too."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            yield from (*attribute.tensors, *([attribute.t] if attribute.HasField("t") else []))
            for inner in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
                yield from _constants(inner)


def check_inside(model: onnx.ModelProto, path: Path) -> None:
    """Refuse weights that halves cannot take with them: in another file, or sparse.

    Raises:
        ExternalData: there are some in another file.
        SplitError: there are sparse ones.
    """
    if model.graph.sparse_initializer:
        name = model.graph.sparse_initializer[0].values.name
        raise SplitError(f"{path} keeps {name} as a sparse tensor: write it as a dense one, or {SERVE_WHOLE}")
    if outside := _outside(model):
        raise ExternalData(
            f"{path} keeps {outside[0].name} in another file: join them, onnx.save(onnx.load(PATH), ONE_FILE), or "
            f"{SERVE_WHOLE}"
        )
