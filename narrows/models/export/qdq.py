"""A float graph with quantise-dequantise pairs: what all quantisers here have in common.

Weights are int8 by output channel, activations have the range that calibration saw, and constants are folded first.
What TensorRT, processors and sensors want beside that differs, and stands with each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import onnx

from narrows.models.export.calibration import Feed, Feeds
from narrows.runtime.onnx_runtime.quantization import (
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quant_pre_process,
    quantize_static,
)
from narrows.runtime.surroundings import scratch_folder


def _none(_: onnx.GraphProto) -> list[str]:
    return []


def write_qdq(
    graph: Path,
    calibration: Iterable[Feed],
    path: Path,
    operators: Sequence[str],
    *,
    unsigned: bool,
    excluded: Callable[[onnx.GraphProto], list[str]] = _none,
    seven_bit_weights: bool = False,
    options: Mapping[str, Any],
) -> None:
    """Write the int8 twin of a graph.

    Args:
        graph: the float one.
        calibration: what it is fed while ranges are measured.
        path: where to.
        operators: between which pairs stand.
        unsigned: activations are uint8, else int8.
        excluded: names of nodes that stay in float, of the graph as it is after its constants were folded.
        seven_bit_weights: see :func:`narrows.models.export.int8_throughout.quantise_throughout`.
        options: ONNX Runtime's ``extra_options``.
    """
    with scratch_folder() as folder:
        prepared = folder / "prepared.onnx"
        quant_pre_process(graph, prepared, skip_symbolic_shape=True)
        quantize_static(
            prepared,
            path,
            Feeds(calibration),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range=seven_bit_weights,
            activation_type=QuantType.QUInt8 if unsigned else QuantType.QInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            op_types_to_quantize=list(operators),
            nodes_to_exclude=excluded(onnx.load(prepared).graph),
            extra_options=dict(options),
        )
