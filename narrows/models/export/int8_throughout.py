"""A graph quantised as ONNX Runtime runs it fastest on processors: between all operators, so that it fuses them.

Activations are unsigned and asymmetric, weights signed, by output channel. TensorRT wants its graphs otherwise
(:mod:`narrows.models.export.int8_decoder`).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import onnx

from narrows.models.export.calibration import Feed
from narrows.models.export.qdq import write_qdq
from narrows.runtime.surroundings import scratch_folder
from narrows.runtime.writing import write_file

_QUANTISED = ["Add", "Concat", "Conv", "DepthToSpace", "Mul", "Relu", "Reshape", "Slice", "Transpose"]


def quantise_throughout(
    graph: Path,
    calibration: Iterable[Feed],
    path: Path,
    *,
    kept_float: Iterable[str] = (),
    seven_bit_weights: bool = False,
) -> None:
    """Write a decoder's graph in int8, whole or not.

    Args:
        graph: the float decoder's.
        calibration: what it is fed while ranges are measured.
        path: where to.
        kept_float: convolutions, by the name of their output, that stay in float.
        seven_bit_weights: for processors without VNNI, whose 16-bit sums of two products would saturate at 8 bits.
    """
    kept = set(kept_float)

    def excluded(prepared: onnx.GraphProto) -> list[str]:
        return _inverse_gain_nodes(prepared.node) + [node.name for node in prepared.node if kept & set(node.output)]

    with scratch_folder() as folder:
        draft = folder / "int8.onnx"
        write_qdq(
            graph,
            calibration,
            draft,
            _QUANTISED,
            unsigned=True,
            excluded=excluded,
            seven_bit_weights=seven_bit_weights,
            options={"ActivationSymmetric": False},
        )
        model = onnx.load(draft)
    del model.metadata_props[:]
    onnx.checker.check_model(model)
    write_file(path, model.SerializeToString())


def _inverse_gain_nodes(nodes: Iterable[onnx.NodeProto]) -> list[str]:
    """What undoes the gains, ahead of the first convolution: its scale differs by level and by channel."""
    names = []
    for node in nodes:
        if node.op_type == "Conv":
            break
        names.append(node.name)
    return names
