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

from narrows.models.export.calibration import Feed
from narrows.models.export.graphs import LEVEL, SYMBOLS
from narrows.models.export.qdq import write_qdq

QUANTISED = ["Conv"]


def decoder_feed(symbols: NDArray[np.int8], level: int) -> Feed:
    """One frame's symbols ``(C, h, w)`` as the decoder takes them."""
    return {SYMBOLS: symbols[None], LEVEL: np.array([[level]], dtype=np.int32)}


def quantise_decoder(decoder: Path, calibration: Iterable[Feed], path: Path) -> None:
    """Write the int8 twin of ``decoder``; ``calibration`` should hold frames of every rate level."""
    options = {
        "ActivationSymmetric": True,
        "WeightSymmetric": True,
        "AddQDQPairToWeight": True,
        "DedicatedQDQPair": True,
        "QuantizeBias": False,
        "OpTypesToExcludeOutputQuantization": QUANTISED,
    }
    write_qdq(decoder, calibration, path, QUANTISED, unsigned=False, options=options)
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
