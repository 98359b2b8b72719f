"""The end of a decoder's graph: from logits on a coarse grid to the class of each pixel.

::

    as trained    logits @ 1/4 ─► bilinear to H x W ─► argmax ─► uint8
    fast          logits @ 1/4 ─► bilinear to H/2 x W ─► argmax ─► each row twice ─► uint8

Resize and argmax over all classes are the widest arithmetic of a joint decoder, and on a processor 40 % of its time.
Classes change slowly between two rows of pixels, but a pole is a few columns wide: so rows are halved and columns are
not. A whole factor is written as a constant scale, which ONNX Runtime runs in the blocked layout of its convolutions.

The cast to uint8 comes last: TensorRT has that type at the network's ends alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray

from narrows.models.export.graph_editor import GraphEditor, attributes

ROWS_TOGETHER = 2
Size = tuple[int, int]
"""Rows, columns."""


@dataclass(frozen=True)
class _End:
    """Where a graph's labels come from.

    Attributes:
        cast: the last node.
        logits: the tensor before resize and argmax.
        own, used: the size of that tensor, and of its part that lies on the picture.
        grid: where the argmax is taken.
        size: the label map's.
    """

    cast: onnx.NodeProto
    logits: str
    own: Size
    used: Size
    grid: Size
    size: Size


def halve_rows(editor: GraphEditor) -> bool:
    """Let two rows of pixels share their classes; false where they do, or a graph ends otherwise than export's do."""
    end = _find(editor)
    if end is None or end.grid != end.size:
        return False
    rows, rest = divmod(end.size[0], ROWS_TOGETHER)
    grid = (rows + rest, end.size[1])
    _rewrite(editor, end, grid, np.repeat(np.arange(grid[0]), ROWS_TOGETHER)[: end.size[0]])
    return True


def whole_labels(model: onnx.ModelProto) -> onnx.ModelProto:
    """A decoder's graph with the end that was trained with; a graph that ends otherwise than export's do stays."""
    editor = GraphEditor(model)
    end = _find(editor)
    if end is None:
        return model
    logits = _cut(editor, end)
    sizes = editor.constant(np.array(end.size), "label_sizes")
    logits = editor.insert(end.cast, "Resize", [logits, "", "", sizes], mode="linear", axes=[2, 3])
    end.cast.input[0] = editor.insert(end.cast, "ArgMax", [logits], axis=1, keepdims=0)
    return editor.finish()


def _find(editor: GraphEditor) -> _End | None:
    """The end as export writes it, before or after it was rewritten here."""
    size = _size(editor.dims(editor.first_output.name), -2)
    cast = editor.maker(editor.first_output.name)
    if size is None or cast is None or cast.op_type != "Cast":
        return None
    rows, argmax = size[0], editor.maker(cast.input[0])
    while argmax is not None and argmax.op_type in {"Slice", "Gather"}:
        if argmax.op_type == "Gather" and (chosen := editor.value(argmax.input[1])) is not None:
            rows = int(chosen.max()) + 1
        argmax = editor.maker(argmax.input[0])
    if argmax is None or argmax.op_type != "ArgMax" or attributes(argmax).get("axis") != 1:
        return None
    return _before_argmax(editor, cast, argmax.input[0], (rows, size[1]), size)


def _before_argmax(editor: GraphEditor, cast: onnx.NodeProto, resized: str, grid: Size, size: Size) -> _End | None:
    resize = editor.maker(resized)
    if resize is None or not _is_bilinear(resize):
        return None
    own = _size(editor.dims(resize.input[0]), -2)
    if own is None:
        return None
    scales = editor.value(resize.input[2]) if len(resize.input) == 3 else None  # sizes would be a fourth input
    used = own if scales is None else (round(grid[0] / scales[2]), round(grid[1] / scales[3]))
    return _End(cast, resize.input[0], own, used, grid, size)


def _size(dims: Sequence[int | None] | None, begin: int) -> Size | None:
    sides = [side for side in (dims or ())[begin:] if side is not None]
    return (sides[0], sides[1]) if len(sides) == 2 else None


def _is_bilinear(resize: onnx.NodeProto) -> bool:
    asked = attributes(resize)
    plain = resize.op_type == "Resize" and asked.get("mode") == "linear" and not asked.get("antialias")
    return plain and asked.get("coordinate_transformation_mode", "half_pixel") == "half_pixel"


def _rewrite(editor: GraphEditor, end: _End, grid: Size, rows: NDArray[np.int64]) -> None:
    """Argmax on ``grid``; then those ``rows`` of it, in that order."""
    factors = (grid[0] / end.used[0], grid[1] / end.used[1])
    if all(factor.is_integer() for factor in factors):
        logits, own = _uncut(editor, end)
        scaling = ["", editor.constant(np.array([1, 1, *factors], np.float32), "label_scales")]
        logits = editor.insert(end.cast, "Resize", [logits, *scaling], mode="linear")
    else:
        logits, own = _cut(editor, end), end.used
        scaling = ["", "", editor.constant(np.array(grid), "label_sizes")]
        logits = editor.insert(end.cast, "Resize", [logits, *scaling], mode="linear", axes=[2, 3])
    labels = editor.insert(end.cast, "ArgMax", [logits], axis=1, keepdims=0)
    if own[1] != end.used[1]:
        labels = _begin_of(editor, end.cast, labels, {2: grid[1]})
    end.cast.input[0] = editor.insert(end.cast, "Gather", [labels, editor.constant(rows, "label_rows")], axis=1)


def _uncut(editor: GraphEditor, end: _End) -> tuple[str, Size]:
    """The logits with what lies below and right of the picture, and their size.

    Cutting features away copies all others; labels are cut for less. The last row and column then see their true
    neighbours in place of themselves.
    """
    classify = editor.maker(end.logits)
    if classify is None or classify.op_type != "Conv" or set(attributes(classify).get("kernel_shape", ())) != {1}:
        return end.logits, end.own
    source = classify.input[0]
    while (cut := editor.maker(source)) is not None and _is_cut(editor, cut):
        source = cut.input[0]
    own = _size(editor.dims(source), -2)
    if source == classify.input[0] or own is None:
        return end.logits, end.own
    return editor.insert(end.cast, "Conv", [source, *classify.input[1:]], **attributes(classify)), own


def _is_cut(editor: GraphEditor, node: onnx.NodeProto) -> bool:
    """Whether a node takes rows or columns from the first on, one by one."""
    if node.op_type != "Slice" or len(node.input) < 4:
        return False
    begins, axes = editor.value(node.input[1]), editor.value(node.input[3])
    steps = editor.value(node.input[4]) if len(node.input) > 4 else np.ones(1)
    if begins is None or axes is None or steps is None:
        return False
    return bool((begins == 0).all() and (steps == 1).all() and set(axes.tolist()) <= {2, 3})


def _cut(editor: GraphEditor, end: _End) -> str:
    """The logits of the picture alone."""
    if end.own == end.used:
        return end.logits
    return _begin_of(editor, end.cast, end.logits, {2: end.used[0], 3: end.used[1]})


def _begin_of(editor: GraphEditor, before: onnx.NodeProto, name: str, sizes: dict[int, int]) -> str:
    """A tensor's first positions: so many along each of these axes."""
    values = ([0] * len(sizes), list(sizes.values()), list(sizes))
    cut = [editor.constant(np.array(each), f"{name}_cut") for each in values]
    return editor.insert(before, "Slice", [name, *cut])
