"""Weights and golden vectors as flat files that a C program reads without a library.

::

    weights.bin          int8 weights and little-endian int32 biases, one after the other, each at a multiple of 16
    weights.json         for each: name, dtype, shape, offset, scales
    golden_inputs.bin    N x 6 x size x size uint8
    golden_logits.bin    N x size x size float32, little-endian: what ONNX Runtime answered
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from narrows.runtime.prompting.segmenter import PromptSegmenter
from narrows.runtime.writing import write_files

WEIGHTS, INDEX = "weights.bin", "weights.json"
GOLDEN_INPUTS, GOLDEN_LOGITS = "golden_inputs.bin", "golden_logits.bin"
ALIGNMENT = 16


def write_weights(graph: Path, folder: Path) -> None:
    """Write the integers of an int8 graph, in the order in which the graph uses them."""
    model = onnx.load(graph)
    stored = {each.name: each for each in model.graph.initializer}
    flat, index = bytearray(), []
    for node in model.graph.node:
        if node.op_type == "DequantizeLinear" and (tensor := stored.get(node.input[0])) is not None:
            flat.extend(bytes(-len(flat) % ALIGNMENT))
            index.append(_entry(tensor, numpy_helper.to_array(stored[node.input[1]]), len(flat)))
            values = numpy_helper.to_array(tensor)
            flat.extend(values.astype(values.dtype.newbyteorder("<")).tobytes())
    write_files(folder, {WEIGHTS: bytes(flat), INDEX: f"{json.dumps(index, indent=1)}\n".encode()})


def _entry(tensor: onnx.TensorProto, scales: NDArray[np.float32], offset: int) -> dict[str, Any]:
    return {
        "name": tensor.name,
        "dtype": numpy_helper.to_array(tensor).dtype.name,
        "shape": list(tensor.dims),
        "offset": offset,
        "scales": [float(scale) for scale in np.atleast_1d(scales)],
    }


def write_golden(graph: Path, inputs: Sequence[NDArray[np.uint8]], folder: Path) -> None:
    """Write inputs ``(6, size, size)`` and what the graph answers."""
    run = PromptSegmenter.open(graph).run
    logits = np.stack([run(each) for each in inputs]).astype("<f4")
    write_files(folder, {GOLDEN_INPUTS: np.stack(inputs).tobytes(), GOLDEN_LOGITS: logits.tobytes()})
