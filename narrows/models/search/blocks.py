"""A camera's network as blocks, each an ONNX graph by itself that a device can be asked about.

::

    stem ─► at4 … ─► down8 ─► at8 … ─► down16 ─► at16 … ─┬─► bottleneck
                                └────────────────────────┴─► head

The graphs are those that the whole network is exported as (:mod:`narrows.models.nn.weak`), with weights drawn by
chance: what a device takes for an int8 convolution hangs on its shape. Two networks that have a block in common share
what was measured of it, so some hundreds of blocks stand for millions of networks. Left out is the slice of a head
whose grid at 1/4 is odd: it drops a row or a column.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper, shape_inference

from narrows.models.export.graphs import OPSET
from narrows.models.nn.weak import STEM_STRIDE, WeakShape, grid_at4
from narrows.models.nn.weak_designs import Design
from narrows.models.search.space import Candidate, Space, candidate_of

INPUT = "input"
_NARROWEST = 8
_IR_VERSION = 10


class Kind(StrEnum):
    """Of a block."""

    STEM = "stem"
    SEPARABLE = "separable"
    INVERTED = "inverted"
    HEAD = "head"
    BOTTLENECK = "bottleneck"


@dataclass(frozen=True)
class Block:
    """One block for inputs of a size.

    Attributes:
        inputs: channels of each input; a head has two, at 1/8 and 1/16.
        outputs: channels of the result.
        inner: expanded channels, or those of the head.
        grid: (height, width) of the first input.
    """

    kind: Kind
    inputs: tuple[int, ...]
    outputs: int
    kernel: int
    stride: int
    inner: int
    grid: tuple[int, int]

    @property
    def name(self) -> str:
        """What a latency table knows it by."""
        channels = "+".join(map(str, self.inputs))
        return (
            f"{self.kind}-{channels}-{self.inner}-{self.outputs}-k{self.kernel}-s{self.stride}"
            f"-{self.grid[0]}x{self.grid[1]}"
        )

    @property
    def input_shapes(self) -> tuple[tuple[int, int, int, int], ...]:
        """``(1, C, H, W)`` of each input; the second is at half the grid."""
        height, width = self.grid
        grids = (self.grid, (-(-height // 2), -(-width // 2)))
        return tuple((1, channels, *grid) for channels, grid in zip(self.inputs, grids, strict=False))


@dataclass(frozen=True)
class Placed:
    """A block where it stands: ``beside_bytes`` of other activations live on while it runs."""

    block: Block
    beside_bytes: int = 0


def blocks_of(candidate: Candidate, design: Design, size: tuple[int, int], classes: int) -> tuple[Placed, ...]:
    """The blocks of a camera for pictures of ``size`` (height, width), in the order in which they run."""
    shape, seen = candidate.shape, candidate.sees(size)
    width4, width8, width16 = shape.widths
    grid4 = grid_at4(seen)
    grid8, grid16 = _half(grid4), _half(_half(grid4))
    first, second = shape.expansions
    found = [Placed(Block(Kind.STEM, (3,), width4, shape.stem_kernel, STEM_STRIDE, width4, seen))]
    found += [
        Placed(Block(Kind.SEPARABLE, (width4,), width4, shape.kernels[0], 1, width4, grid4))
        for _ in range(shape.depths[0])
    ]
    found.append(Placed(Block(Kind.INVERTED, (width4,), width8, shape.kernels[1], 2, width4, grid4)))
    stay8 = Block(Kind.INVERTED, (width8,), width8, shape.kernels[1], 1, width8 * first, grid8)
    found += [Placed(stay8)] * shape.depths[1]
    kept = width8 * grid8[0] * grid8[1] if design.sends_labels else 0
    down16 = Block(Kind.INVERTED, (width8,), width16, shape.kernels[2], 2, width8 * first, grid8)
    found.append(Placed(down16))
    stay16 = Block(Kind.INVERTED, (width16,), width16, shape.kernels[2], 1, width16 * second, grid16)
    found += [Placed(stay16, kept)] * shape.depths[2]
    return (*found, *_ends(shape, design, grid8, grid16, classes))


def _ends(
    shape: WeakShape, design: Design, grid8: tuple[int, int], grid16: tuple[int, int], classes: int
) -> list[Placed]:
    _, width8, width16 = shape.widths
    found = []
    if design.sends_labels:
        beside = width16 * grid16[0] * grid16[1] if design.sends_symbols else 0
        found.append(Placed(Block(Kind.HEAD, (width8, width16), classes, 3, 1, shape.head, grid8), beside))
    if design.sends_symbols:
        factor = shape.latent_stride // 16
        beside = classes * 4 * grid8[0] * grid8[1] if design.sends_labels else 0
        block = Block(Kind.BOTTLENECK, (width16,), shape.latent_channels, 1, factor, shape.latent_channels, grid16)
        found.append(Placed(block, beside))
    return found


def every_block(space: Space, design: Design, size: tuple[int, int], classes: int) -> tuple[Block, ...]:
    """All that networks of a space are made of: some thousands, by name."""
    choices = space.choices(design)
    used = {"stem": ("width4", "stem_kernel"), "at4": ("width4", "kernel4"), "down8": ("width4", "width8", "kernel8")}
    used |= {"at8": ("width8", "kernel8", "expansion8"), "down16": ("width8", "width16", "kernel16", "expansion8")}
    used |= {"at16": ("width16", "kernel16", "expansion16"), "head": ("width8", "width16", "head")}
    used |= {"bottleneck": ("width16", "latent_channels", "latent_stride")}
    deepest = {f"depth{stride}": 1 for stride in (4, 8, 16)}
    first = {name: values[0] for name, values in choices.items()} | deepest
    found: dict[str, Block] = {}
    for names in used.values():
        varied = [name for name in ("resolution", *names) if name in choices]
        for values in product(*(choices[name] for name in varied)):
            candidate = candidate_of(first | dict(zip(varied, values, strict=True)))
            found |= {each.block.name: each.block for each in blocks_of(candidate, design, size, classes)}
    return tuple(found[name] for name in sorted(found))


def _half(grid: tuple[int, int]) -> tuple[int, int]:
    return -(-grid[0] // 2), -(-grid[1] // 2)


def write_block(block: Block, path: Path) -> onnx.ModelProto:
    """Write the float graph of a block; its shapes are inferred in what is returned."""
    writer = _Writer()
    names = [f"{INPUT}{index}" for index in range(len(block.inputs))]
    output = _WRITERS[block.kind](writer, block, names)
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in zip(names, block.input_shapes, strict=True)
    ]
    result = helper.make_tensor_value_info(output, TensorProto.FLOAT, None)
    graph = helper.make_graph(writer.nodes, block.name, inputs, [result], writer.constants)
    opsets = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION)
    model = shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return model


class _Writer:
    """Nodes and constants of a graph; every method adds one and answers with the name of its result."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self._chance = np.random.default_rng(0)
        self._six = [self.constant(np.array(each, np.float32)) for each in (0, 6)]

    def constant(self, values: NDArray[Any]) -> str:
        name = f"constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(values, name))
        return name

    def add(self, operator: str, inputs: list[str], **attributes: Any) -> str:  # noqa: ANN401 -- onnx's
        name = f"{operator.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], name=f"node_{name}", **attributes))
        return name

    def conv(
        self,
        x: str,
        inputs: int,
        outputs: int,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
        pads: tuple[int, ...] | None = None,
    ) -> str:
        shape = (outputs, inputs // groups, kernel, kernel)
        weights = self._chance.normal(0, (2 / np.prod(shape[1:])) ** 0.5, shape).astype(np.float32)
        bias = self._chance.normal(0, 0.1, outputs).astype(np.float32)
        return self.add(
            "Conv",
            [x, self.constant(weights), self.constant(bias)],
            kernel_shape=[kernel] * 2,
            strides=[stride] * 2,
            pads=pads or [(kernel - 1) // 2] * 4,
            group=groups,
        )

    def relu6(self, x: str) -> str:
        return self.add("Clip", [x, *self._six])


def _stem(writer: _Writer, block: Block, inputs: list[str]) -> str:
    low = (block.kernel - STEM_STRIDE) // 2
    bottom, right = (low + -side % STEM_STRIDE for side in block.grid)
    made = writer.conv(inputs[0], 3, block.outputs, block.kernel, block.stride, pads=(low, low, bottom, right))
    return writer.relu6(made)


def _separable(writer: _Writer, block: Block, inputs: list[str]) -> str:
    width = block.inputs[0]
    filtered = writer.relu6(writer.conv(inputs[0], width, width, block.kernel, groups=width))
    return writer.relu6(writer.conv(filtered, width, block.outputs))


def _inverted(writer: _Writer, block: Block, inputs: list[str]) -> str:
    width, inner, x = block.inputs[0], block.inner, inputs[0]
    wide = x if inner == width and block.stride == 2 else writer.relu6(writer.conv(x, width, inner))
    filtered = writer.relu6(writer.conv(wide, inner, inner, block.kernel, block.stride, inner))
    narrow = writer.conv(filtered, inner, block.outputs)
    return writer.add("Add", [x, narrow]) if block.stride == 1 and width == block.outputs else narrow


def _head(writer: _Writer, block: Block, inputs: list[str]) -> str:
    at8, at16 = block.inputs
    wide, narrow = block.inner, max(_NARROWEST, block.inner // 3)
    high = writer.relu6(writer.conv(inputs[1], at16, wide))
    axes = writer.constant(np.array([2, 3], np.int64))
    mean = writer.add("ReduceMean", [inputs[1], axes], keepdims=1)
    gate = writer.add("HardSigmoid", [writer.conv(mean, at16, wide)], alpha=1 / 6, beta=0.5)
    gated = writer.add("Mul", [high, gate])
    sizes = writer.constant(np.array([1, wide, *block.grid], np.int64))
    risen = writer.add(
        "Resize",
        [gated, "", "", sizes],
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )
    joined = writer.add("Add", [risen, writer.relu6(writer.conv(inputs[0], at8, wide))])
    spread = writer.add("Relu", [writer.conv(joined, wide, 4 * narrow)])
    spread = writer.add("DepthToSpace", [spread], blocksize=2, mode="CRD")
    refined = writer.add("Relu", [writer.conv(spread, narrow, narrow, 3, groups=narrow)])
    refined = writer.add("Relu", [writer.conv(refined, narrow, narrow)])
    return writer.conv(writer.add("Add", [spread, refined]), narrow, block.outputs)


def _bottleneck(writer: _Writer, block: Block, inputs: list[str]) -> str:
    width, factor, x = block.inputs[0], block.stride, inputs[0]
    if factor > 1:
        x = _folded(writer, x, width, block.grid, factor)
    return writer.conv(x, width * factor**2, block.outputs)


def _folded(writer: _Writer, x: str, width: int, grid: tuple[int, int], factor: int) -> str:
    """Space to depth, as the exporter writes it."""
    low, right = -grid[0] % factor, -grid[1] % factor
    x = writer.add("Pad", [x, writer.constant(np.array([0, 0, 0, 0, 0, 0, low, right], np.int64))])
    height, across = (grid[0] + low) // factor, (grid[1] + right) // factor
    parts = writer.constant(np.array([1, width, height, factor, across, factor], np.int64))
    whole = writer.constant(np.array([1, width * factor**2, height, across], np.int64))
    turned = writer.add("Transpose", [writer.add("Reshape", [x, parts])], perm=[0, 1, 3, 5, 2, 4])
    return writer.add("Reshape", [turned, whole])


_WRITERS = {
    Kind.STEM: _stem,
    Kind.SEPARABLE: _separable,
    Kind.INVERTED: _inverted,
    Kind.HEAD: _head,
    Kind.BOTTLENECK: _bottleneck,
}
