"""The network as ONNX, float and int8, with static shapes and bytes as its input.

::

    float   inputs uint8 (1, 6, 96, 96) ─► (x - 127) / 128 ─► network ─► logits float32 (1, 1, 96, 96)
    int8    inputs uint8 ─► DequantizeLinear(scale 1/128, zero point 127) ─► Conv ─► QuantizeLinear ─► ...

The input's scale and zero point *are* the normalisation, so the int8 graph computes nothing before its first
convolution.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper
from torch import Tensor, nn

from narrows.contract.errors import WeightsMismatch
from narrows.models.export.folding import fold
from narrows.models.export.graphs import write_graph
from narrows.models.export.qdq import write_qdq
from narrows.models.nn.promptable import PromptableNetwork
from narrows.models.promptable.run import Trained
from narrows.models.training.augment import DEVIATION, MEAN
from narrows.runtime.prompting.inputs import CHANNELS
from narrows.runtime.prompting.segmenter import INPUTS, LOGITS, UNSEEN_FOLD
from narrows.runtime.surroundings import scratch_folder

QUANTISED = ["Conv", "Clip", "Add", "Concat", "Resize"]
_SCALE, _ZERO_POINT = "bytes_scale", "bytes_zero_point"


class _FloatGraph(nn.Module):
    def __init__(self, network: PromptableNetwork) -> None:
        super().__init__()
        self.network = fold(network)

    def forward(self, inputs: Tensor) -> Tensor:
        logits: Tensor = self.network((inputs.float() - MEAN) * (1 / DEVIATION))
        return logits


class _NormalisedGraph(nn.Module):
    def __init__(self, network: PromptableNetwork) -> None:
        super().__init__()
        self.network = fold(network)

    def forward(self, inputs: Tensor) -> Tensor:
        logits: Tensor = self.network(inputs)
        return logits


def write_float(trained: Trained, path: Path) -> None:
    """Write the float graph."""
    size = trained.network.shape.size
    example = torch.zeros(1, CHANNELS, size, size, dtype=torch.uint8)
    write_graph(_FloatGraph(trained.network), (example,), path, [INPUTS], [LOGITS], None)
    _note_fold(path, trained.fold)


def write_int8(trained: Trained, calibration: Sequence[NDArray[np.uint8]], path: Path) -> None:
    """Write the int8 graph: weights int8 per channel, activations uint8, calibrated on inputs ``(6, size, size)``."""
    size = trained.network.shape.size
    with scratch_folder() as folder:
        exact = folder / "exact.onnx"
        example = torch.zeros(1, CHANNELS, size, size)
        write_graph(_NormalisedGraph(trained.network), (example,), exact, [INPUTS], [LOGITS], None)
        write_qdq(
            exact,
            ({INPUTS: ((each.astype(np.float32) - MEAN) / DEVIATION)[None]} for each in calibration),
            path,
            QUANTISED,
            unsigned=True,
            options={"CalibMovingAverage": True, "ActivationSymmetric": False},
        )
    _take_bytes(path)
    _note_fold(path, trained.fold)


def _take_bytes(path: Path) -> None:
    """Let the graph's input be the bytes themselves: its first pair's dequantisation is the normalisation."""
    model = onnx.load(path)
    graph = model.graph
    first = next((node for node in graph.node if node.op_type == "QuantizeLinear" and node.input[0] == INPUTS), None)
    if first is None:
        raise WeightsMismatch(f"{path}: the quantiser left the input as it was")
    for node in graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] == first.output[0]:
            node.input[:] = [INPUTS, _SCALE, _ZERO_POINT]
    graph.node.remove(first)
    for left_over in [each for each in graph.initializer if each.name in first.input]:
        graph.initializer.remove(left_over)
    graph.initializer.extend(
        [
            numpy_helper.from_array(np.array(1 / DEVIATION, np.float32), _SCALE),
            numpy_helper.from_array(np.array(MEAN, np.uint8), _ZERO_POINT),
        ]
    )
    graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
    own = [each for each in model.opset_import if not each.domain]
    del model.opset_import[:]
    model.opset_import.extend(own)
    del graph.value_info[:]
    onnx.checker.check_model(model)
    onnx.save(model, path)


def _note_fold(path: Path, fold_unseen: int | None) -> None:
    model = onnx.load(path)
    del model.metadata_props[:]
    if fold_unseen is not None:
        entry = model.metadata_props.add()
        entry.key, entry.value = UNSEEN_FOLD, str(fold_unseen)
    onnx.save(model, path)
