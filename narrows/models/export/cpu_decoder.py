"""The decoder's int8 twin for processors: convolutions in int8, the end (classifier, resize, argmax) in float.

Eleven classes in steps of 1/255 of their range would tie at every border, and the classifier is a hundredth of the
arithmetic, so that stays float. Weights take 7 bits: AVX2 without VNNI adds two products in 16 bits, which 8 would
overflow, and masks would depend on the machine.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import onnx

from narrows.models.export.calibration import Feed
from narrows.models.export.graph_editor import GraphEditor
from narrows.models.export.int8_throughout import quantise_throughout


def quantise_cpu_decoder(decoder: Path, calibration: Iterable[Feed], path: Path) -> None:
    """Write the twin of ``decoder`` for processors; ``calibration`` should hold frames of every rate level."""
    quantise_throughout(decoder, calibration, path, kept_float=_classifier(onnx.load(decoder)), seven_bit_weights=True)


def _classifier(model: onnx.ModelProto) -> list[str]:
    """The output of the convolution that the label map is made from; empty where none is."""
    editor = GraphEditor(model)
    node = editor.maker(editor.first_output.name)
    while node is not None and node.op_type != "Conv":
        node = editor.maker(node.input[0])
    return [] if node is None else [node.output[0]]
