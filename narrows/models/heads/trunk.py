"""The tensors of a bundle's decoder that a head reads: what each stage made, before the next one.

::

    symbols ─► dequantise ─► context ─► rise to 1/8 ─► rise to 1/4 ─► classify ─► labels
                   │            │            │              │
                   └────────────┴────────────┴──────────────┴──► a head reads all four; they are there anyway
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import shape_inference

from narrows.contract.errors import HeadGraphRefused
from narrows.models.export.calibration import Feed
from narrows.runtime.onnx_runtime import InferenceSession, SessionOptions

STAGES = ("decoder.enter.", "decoder.rise8.spread.", "decoder.rise4.spread.", "decoder.classify.")
"""Which convolution's input is a stage's result, by its weights' name (:mod:`narrows.models.nn.decoder`)."""


@dataclass(frozen=True)
class TrunkTensor:
    """A tensor of the decoder's graph, float32 ``(n, channels, height, width)``."""

    name: str
    channels: int
    height: int
    width: int


def trunk_tensors(decoder: Path) -> tuple[TrunkTensor, ...]:
    """What heads read of a decoder that ``narrows export`` wrote, the coarsest first.

    Raises:
        HeadGraphRefused: it has no such stages.
    """
    graph = shape_inference.infer_shapes(onnx.load(decoder), data_prop=True).graph
    shapes = {value.name: value.type.tensor_type.shape.dim for value in graph.value_info}
    found = []
    for stage in STAGES:
        names = [node.input[0] for node in graph.node if len(node.input) > 1 and node.input[1].startswith(stage)]
        if len(names) != 1 or len(shapes.get(names[0], ())) != 4:
            raise HeadGraphRefused(f"{decoder} has no stage {stage}*: export the bundle again with this build")
        found.append(TrunkTensor(names[0], *(size.dim_value for size in shapes[names[0]][1:])))
    return tuple(found)


class Trunk:
    """A decoder that answers with what heads read."""

    def __init__(self, decoder: Path) -> None:
        self.tensors = trunk_tensors(decoder)
        model = onnx.load(decoder)
        del model.graph.output[:]
        model.graph.output.extend(
            onnx.helper.make_tensor_value_info(
                tensor.name, onnx.TensorProto.FLOAT, [None, tensor.channels, tensor.height, tensor.width]
            )
            for tensor in self.tensors
        )
        options = SessionOptions()
        options.intra_op_num_threads = 1
        self._session = InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])

    def __call__(self, feed: Feed) -> list[NDArray[np.float32]]:
        """One frame's tensors, each ``(channels, height, width)``."""
        answers: list[NDArray[Any]] = self._session.run([tensor.name for tensor in self.tensors], feed)
        return [answer[0] for answer in answers]
