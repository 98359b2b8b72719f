"""The decoder's int8 twin as TensorRT takes it: quantisation said in the graph, so that building needs no calibrator.

::

    activation ─► Q ─► DQ ─┐
    weight     ─► Q ─► DQ ─┴► Conv ─► (bias and all else in float)

Before each convolution's inputs and nowhere else, as NVIDIA's guide to explicit quantisation asks: a pair behind a
convolution would part it from its ReLU. Signed, symmetric (zero point 0), activations by tensor, weights by output
channel. Weights stay float in the file: TensorRT 8 takes them only through a pair.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from narrows.models.export.calibration import Feed, Feeds
from narrows.models.export.graphs import LEVEL, SYMBOLS
from narrows.runtime.onnx_runtime.quantization import (
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quant_pre_process,
    quantize_static,
)
from narrows.runtime.surroundings import scratch_folder

QUANTISED = ["Conv"]


def decoder_feed(symbols: NDArray[np.int8], level: int) -> Feed:
    """One frame's symbols ``(C, h, w)`` as the decoder takes them."""
    return {SYMBOLS: symbols[None], LEVEL: np.array([[level]], dtype=np.int32)}


def quantise_decoder(decoder: Path, calibration: Iterable[Feed], path: Path) -> None:
    """Write the int8 twin of ``decoder``; ``calibration`` should hold frames of every rate level."""
    with scratch_folder() as folder:
        prepared = folder / "prepared.onnx"
        quant_pre_process(decoder, prepared, skip_symbolic_shape=True)
        quantize_static(
            prepared,
            path,
            Feeds(calibration),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            op_types_to_quantize=QUANTISED,
            extra_options={
                "ActivationSymmetric": True,
                "WeightSymmetric": True,
                "AddQDQPairToWeight": True,
                "DedicatedQDQPair": True,
                "QuantizeBias": False,
                "OpTypesToExcludeOutputQuantization": QUANTISED,
            },
        )
    _tidy(path)


def _tidy(path: Path) -> None:
    """Undo what ONNX Runtime's quantiser does beside what it was asked.

    It lets other readers of a quantised tensor (a residual sum) share the convolution's pair, and lists domains of
    operators that are not in the graph.
    """
    model = onnx.load(path)
    quantised = {node.output[0]: node.input[0] for node in model.graph.node if node.op_type == "QuantizeLinear"}
    exact = {
        node.output[0]: quantised[node.input[0]] for node in model.graph.node if node.op_type == "DequantizeLinear"
    }
    for node in model.graph.node:
        if node.op_type not in QUANTISED:
            node.input[:] = [exact.get(name, name) for name in node.input]
    own = [each for each in model.opset_import if not each.domain]
    del model.opset_import[:]
    model.opset_import.extend(own)
    del model.metadata_props[:]
    onnx.checker.check_model(model)
    onnx.save(model, path)
