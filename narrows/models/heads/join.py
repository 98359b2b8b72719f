"""A decoder and heads as one graph: the trunk runs once, and Triton answers a request with every output.

::

    decoder.onnx   symbols, level ─► … add_139 … slice_1 … ─► labels
    head.X.onnx                        add_139, slice_1    ─► X
    ─────────────────────────────────────────────────────────────────
    joined         symbols, level ─► … add_139 … slice_1 … ─► labels
                                          └────────┴─────────► X/… ─► X
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnx.checker import ValidationError

from narrows.contract.bundle import Bundle, Head
from narrows.contract.errors import HeadGraphRefused
from narrows.models.export.graphs import LEVEL, SYMBOLS
from narrows.runtime.onnx_runtime import REFUSALS, InferenceSession, SessionOptions


def join(decoder: Path, heads: Iterable[tuple[Head, Path]], out: Path) -> None:
    """Write the graph of a decoder with all these heads.

    Raises:
        HeadGraphRefused: a head reads what the decoder does not have, answers something else than its output, or is of
            another operator set.
    """
    model = onnx.load(decoder)
    for head, path in heads:
        _append(model, _loaded(path), head)
    onnx.checker.check_model(model)
    onnx.save(model, out)


def reads(graph: Path) -> tuple[str, ...]:
    """What a head's graph reads.

    Raises:
        HeadGraphRefused: it is no ONNX graph.
    """
    return tuple(value.name for value in _loaded(graph).graph.input)


def tensors_of(decoder: Path) -> frozenset[str]:
    """All that a head may read of a decoder: inputs, and what its nodes make."""
    graph = onnx.load(decoder, load_external_data=False).graph
    made = (name for node in graph.node for name in node.output if name)
    return frozenset((*(value.name for value in graph.input), *made))


def check_runs(bundle: Bundle, joined: Path, heads: Sequence[Head]) -> None:
    """Run a joined graph for one frame and for two: each head answers as it declares, the decoder as it did before.

    Raises:
        HeadGraphRefused: it does not run, or answers something else.
    """
    options = SessionOptions()
    options.intra_op_num_threads = 1
    latent = bundle.manifest.latent.as_tuple()
    symbols = np.random.default_rng(0).integers(-2, 3, (2, *latent), dtype=np.int8)
    level = np.zeros((2, 1), dtype=np.int32)
    own = [output.name for output in bundle.manifest.outputs]
    before = InferenceSession(bundle.decoder_path, options, providers=["CPUExecutionProvider"])
    try:
        session = InferenceSession(joined, options, providers=["CPUExecutionProvider"])
        for n in (1, 2):
            feed = {SYMBOLS: symbols[:n], LEVEL: level[:n]}
            answers = session.run([*own, *(head.name for head in heads)], feed)
            for head, answer in zip(heads, answers[len(own) :], strict=True):
                _check_answer(head, answer, n)
            _check_same(answers[: len(own)], before.run(own, feed))
    except REFUSALS as error:
        names = ", ".join(head.name for head in heads)
        raise HeadGraphRefused(f"the decoder with {names} does not run: {error}") from None


def _check_same(answers: Sequence[NDArray[Any]], alone: Sequence[NDArray[Any]]) -> None:
    if not all(np.array_equal(one, other) for one, other in zip(answers, alone, strict=True)):
        raise HeadGraphRefused("with these heads the decoder answers something else than without")


def _check_answer(head: Head, answer: NDArray[Any], n: int) -> None:
    output = head.output
    if answer.dtype != output.dtype or answer.shape != (n, *output.shape):
        raise HeadGraphRefused(
            f"head {head.name} answers {answer.dtype} {answer.shape} for {n} frames; its record declares "
            f"{output.dtype} {(n, *output.shape)}"
        )


def _loaded(path: Path) -> onnx.ModelProto:
    try:
        model = onnx.load_from_string(path.read_bytes())
        onnx.checker.check_model(model)
    except (DecodeError, ValidationError) as error:
        raise HeadGraphRefused(f"{path} is no ONNX graph: {str(error)[:200]}") from None
    return model


def _append(model: onnx.ModelProto, head: onnx.ModelProto, record: Head) -> None:
    graph, name = head.graph, record.name
    there = {value.name for value in model.graph.input} | {out for node in model.graph.node for out in node.output}
    inputs = [value.name for value in graph.input]
    strange = [each for each in inputs if each not in there]
    if strange or not inputs:
        raise HeadGraphRefused(
            f"head {name} reads {', '.join(strange) or 'nothing'}; it may read {SYMBOLS}, {LEVEL} and tensors of "
            "the decoder"
        )
    if record.decoder_sha256 is None and not set(inputs) <= {SYMBOLS, LEVEL}:
        raise HeadGraphRefused(f"head {name} reads tensors of the decoder, and its record names no decoder")
    if [value.name for value in graph.output] != [name]:
        answered = ", ".join(value.name for value in graph.output)
        raise HeadGraphRefused(f"head {name} answers {answered}; it may answer {name} alone")
    if _opsets(head) - _opsets(model):
        raise HeadGraphRefused(f"head {name} is of operator set {_opsets(head)}, the decoder of {_opsets(model)}")
    if any(each.type == onnx.AttributeProto.GRAPH for node in graph.node for each in node.attribute):
        raise HeadGraphRefused(f"head {name} has graphs within its graph (If, Loop, Scan): they are not joined")
    own = {*inputs, name, ""}

    def renamed(value: str) -> str:
        return value if value in own else f"{name}/{value}"

    for node in graph.node:
        copied = model.graph.node.add()
        copied.CopyFrom(node)
        copied.name = f"{name}/{node.name}"
        copied.input[:] = [renamed(value) for value in node.input]
        copied.output[:] = [renamed(value) for value in node.output]
    for initializer in graph.initializer:
        kept = model.graph.initializer.add()
        kept.CopyFrom(initializer)
        kept.name = renamed(initializer.name)
    model.graph.output.add().CopyFrom(graph.output[0])


def _opsets(model: onnx.ModelProto) -> set[tuple[str, int]]:
    return {(each.domain, each.version) for each in model.opset_import}
