"""The decoder as cameras run it: int8 throughout, one frame at a time, masks at any of the sizes that may be sent.

::

    symbols int8 (1, C, h, w) ─┐
    level int32 (1, 1) ────────┴► the bundle's decoder, in int8 ─► logits (1, classes, H/4, W/4, say)
    scale int64 (1,) ─► (H, W) / scale, rounded up ─► resize to it ─► argmax ─► labels uint8 (1, H/scale, W/scale)

The argmax comes after the resize, so a smaller mask costs less and is what the logits say there, not a sample of a
larger one. (Smoothing the logits first by [1 10 1] / 12 saves a tenth of the bits, and loses 0.03 points of mIoU at a
half and at an eighth: left out.) Activations are quantised asymmetrically and between all operators, which ONNX Runtime
fuses (:mod:`narrows.models.export.int8_throughout`).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from narrows.contract.errors import BundleError
from narrows.models.export.calibration import Feed
from narrows.models.export.graphs import LABELS
from narrows.models.export.int8_throughout import quantise_throughout
from narrows.models.export.label_grid import whole_labels
from narrows.runtime.surroundings import scratch_folder

SCALE = "scale"
_TAIL = ("Cast", "ArgMax", "Resize")


def write_camera_decoder(decoder: Path, size: tuple[int, int], calibration: Iterable[Feed], path: Path) -> None:
    """Write the camera's decoder for masks of ``size`` (height, width) divided by a scale.

    Args:
        decoder: the bundle's float decoder, whose first output is the label map.
        size: of the whole mask.
        calibration: frames of every rate level, as :func:`~narrows.models.export.int8_decoder.decoder_feed` makes them.
        path: where to.

    Raises:
        BundleError: the decoder does not end as ``narrows export`` ends it.
    """
    with scratch_folder() as folder:
        draft = folder / "draft.onnx"
        onnx.save(camera_graph(onnx.load(decoder), size), draft)
        quantise_throughout(draft, ({**feed, SCALE: np.array([1], dtype=np.int64)} for feed in calibration), path)


def camera_graph(model: onnx.ModelProto, size: tuple[int, int]) -> onnx.ModelProto:
    """A float decoder for one frame, with the input ``scale`` and nothing but the label map as its output.

    Raises:
        BundleError: it does not end as ``narrows export`` ends it.
    """
    model = whole_labels(model)
    graph = model.graph
    logits = _logits(graph)
    _drop_unused(graph, logits)
    constants = (
        ("camera_size", np.array(size, dtype=np.int64)),
        ("camera_one", np.array([1], dtype=np.int64)),
    )
    graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants)
    graph.node.extend(
        (
            helper.make_node("Add", ["camera_size", SCALE], ["camera_reach"], name="camera_add"),
            helper.make_node("Sub", ["camera_reach", "camera_one"], ["camera_last"], name="camera_sub"),
            helper.make_node("Div", ["camera_last", SCALE], ["camera_sides"], name="camera_div"),
            helper.make_node(
                "Resize",
                [logits, "", "", "camera_sides"],
                ["camera_logits"],
                name="camera_resize",
                axes=[2, 3],
                mode="linear",
                coordinate_transformation_mode="half_pixel",
            ),
            helper.make_node("ArgMax", ["camera_logits"], ["camera_argmax"], name="camera_argmax", axis=1, keepdims=0),
            helper.make_node("Cast", ["camera_argmax"], [LABELS], name="camera_labels", to=TensorProto.UINT8),
        )
    )
    for value in graph.input:
        value.type.tensor_type.shape.dim[0].Clear()
        value.type.tensor_type.shape.dim[0].dim_value = 1
    graph.input.append(helper.make_tensor_value_info(SCALE, TensorProto.INT64, [1]))
    graph.output.append(helper.make_tensor_value_info(LABELS, TensorProto.UINT8, [1, "rows", "columns"]))
    onnx.checker.check_model(model)
    return model


def _logits(graph: onnx.GraphProto) -> str:
    """What the label map's resize reads: the network's last convolution."""
    name: str = graph.output[0].name
    for kind in _TAIL:
        node = _maker(graph, name)
        if node.op_type != kind:
            raise BundleError(
                f"the decoder's label map is made by {node.op_type} where {kind} is expected: export it anew"
            )
        name = node.input[0]
    return name


def _maker(graph: onnx.GraphProto, name: str) -> onnx.NodeProto:
    node: onnx.NodeProto
    for node in graph.node:
        if name in node.output:
            return node
    raise BundleError(f"nothing in the decoder's graph makes {name}: export it anew")


def _drop_unused(graph: onnx.GraphProto, wanted: str) -> None:
    """Keep what leads to a value, and none of the outputs."""
    needed, kept = {wanted}, []
    for node in reversed(graph.node):
        if needed & set(node.output):
            needed.update(node.input)
            kept.append(node)
    constants = [each for each in graph.initializer if each.name in needed]
    for field, values in ((graph.node, reversed(kept)), (graph.initializer, constants)):
        copies = list(values)
        del field[:]
        field.extend(copies)
    del graph.output[:]
    del graph.value_info[:]
