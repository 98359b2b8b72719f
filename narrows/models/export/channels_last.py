"""Pixel shuffles as moves of whole channel vectors.

::

    conv ─► relu ─► DepthToSpace  (N, C, 2h, 2w)           every number moves alone

    conv, output channels sorted (dy, dx, c) ─► relu ─► (N, h, w, 2·2·C)
         ─► (N, h, 2, w, 2·C) ─► (N, 2h, 2w, C)            2·C numbers move together

The same numbers at the same places. ONNX Runtime's DepthToSpace takes 2 ns a number on one thread; the transposes to
and from channels-last fall together with its reordering for the convolutions before and behind. A sum with what was
shuffled is done there too.
"""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray

from narrows.models.export.graph_editor import GraphEditor, attributes

FIRST_TO_LAST, LAST_TO_FIRST = [0, 2, 3, 1], [0, 3, 1, 2]
SORTED = "_sorted"
"""What the name of a constant ends in whose output channels were sorted."""


def shuffle_channels_last(editor: GraphEditor) -> int:
    """Rewrite every pixel shuffle of a convolution's output, and the sums that it enters; answers how many."""
    return sum(_rewrite(editor, node) for node in editor.nodes if node.op_type == "DepthToSpace")


def _rewrite(editor: GraphEditor, shuffle: onnx.NodeProto) -> bool:
    shape = editor.dims(shuffle.output[0])
    found = _convolution_before(editor, shuffle)
    if found is None or shape is None or None in shape[1:] or attributes(shuffle).get("mode") != "CRD":
        return False
    convolution, activated = found
    block, (channels, height, width) = attributes(shuffle)["blocksize"], shape[1:]
    _sort_outputs(editor, convolution, block)
    last = editor.insert(shuffle, "Transpose", [activated], perm=FIRST_TO_LAST)
    parted = editor.constant(np.array([0, 0, 0, block, block * channels]), "parted")
    last = editor.insert(shuffle, "Reshape", [last, parted])
    last = editor.insert(shuffle, "Transpose", [last], perm=[0, 1, 3, 2, 4])
    last = editor.insert(shuffle, "Reshape", [last, editor.constant(np.array([0, height, width, channels]), "joined")])
    for node in editor.readers(shuffle.output[0]):
        if node.op_type == "Add":
            _add_channels_last(editor, node, shuffle.output[0], last)
    editor.insert(shuffle, "Transpose", [last], output=shuffle.output[0], perm=LAST_TO_FIRST)
    editor.remove(shuffle)
    return True


def _convolution_before(editor: GraphEditor, shuffle: onnx.NodeProto) -> tuple[onnx.NodeProto, str] | None:
    """The convolution whose output is shuffled, maybe through a ReLU, and read by nobody else; and that output."""
    name = shuffle.input[0]
    node = editor.maker(name)
    while node is not None and len(editor.readers(node.output[0])) == 1:
        if node.op_type == "Conv" and all(editor.value(constant) is not None for constant in node.input[1:]):
            return node, name
        if node.op_type != "Relu":
            return None
        node = editor.maker(node.input[0])
    return None


def _sort_outputs(editor: GraphEditor, convolution: onnx.NodeProto, block: int) -> None:
    """From (c, dy, dx), as PyTorch's pixel shuffle has them, to (dy, dx, c)."""
    for place, name in list(enumerate(convolution.input))[1:]:
        value = editor.value(name)
        if value is not None:
            convolution.input[place] = editor.constant(value[_order(len(value), block)], name + SORTED)


def unsorted(values: NDArray[np.float32], block: int) -> NDArray[np.float32]:
    """Weights or biases of a name that ends in :data:`SORTED`, as PyTorch has them."""
    restored = np.empty_like(values)
    restored[_order(len(values), block)] = values
    return restored


def _order(channels: int, block: int) -> NDArray[np.int64]:
    return np.arange(channels).reshape(-1, block * block).T.reshape(-1)


def _add_channels_last(editor: GraphEditor, add: onnx.NodeProto, first: str, last: str) -> None:
    """``first`` is added to a tensor of its own shape: do it on ``last``, the same with channels last."""
    if {editor.dims(name) for name in add.input} != {editor.dims(first)}:
        return
    sums = [
        last if name == first else editor.insert(add, "Transpose", [name], perm=FIRST_TO_LAST) for name in add.input
    ]
    total = editor.insert(add, "Add", sums)
    editor.insert(add, "Transpose", [total], output=add.output[0], perm=LAST_TO_FIRST)
    editor.remove(add)
