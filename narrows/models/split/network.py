"""An ONNX network as splitting sees it: the nodes that work on the picture, in order, and the tensors between them.

A tensor that does not depend on the picture (initialisers, `Constant` nodes, the shapes of other tensors) is not live:
both halves of a split network have it, so it never crosses.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import onnx

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Tensor:
    """A live tensor: its name, shape, and its dtype as NumPy names it."""

    name: str
    shape: Shape
    dtype: str

    @property
    def values(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)

    @property
    def item_bits(self) -> int:
        """Bits of one number as the network has it."""
        return _BITS[self.dtype]

    @property
    def size_bytes(self) -> int:
        """Bytes as the network has it."""
        return self.values * self.item_bits // 8

    @property
    def is_float(self) -> bool:
        """Whether its numbers may be rounded; indices, counts and labels may not."""
        return self.dtype.startswith("float")

    def bits_at(self, precision_bits: int) -> int:
        """Bits of one number where at most ``precision_bits`` are spent on it: integers stay as they are."""
        return min(self.item_bits, precision_bits) if self.is_float else self.item_bits


_BITS = {"float32": 32, "float16": 16, "float64": 64, "int64": 64, "uint64": 64, "int32": 32, "uint32": 32} | {
    "int16": 16, "uint16": 16, "int8": 8, "uint8": 8, "bool": 8,
}  # fmt: skip
DTYPES = frozenset(_BITS)


@dataclass(frozen=True, slots=True)
class Node:
    """A node that works on the picture.

    Attributes:
        index: its place among the graph's nodes.
        inputs: the live tensors that it reads.
        outputs: the live tensors that it writes.
        macs: multiply-accumulates, as ``narrows.models.export.cost`` counts them.
        weights_bytes: what it reads beside them.
    """

    index: int
    name: str
    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    macs: int
    weights_bytes: int


@dataclass(frozen=True, eq=False)
class Network:
    """A network of one input. ``model`` has fixed shapes and a description of every live tensor.

    Attributes:
        name: the file's, without its ending.
        digest: SHA-256 of the file, hexadecimal.
        model: the graph that the halves are taken from.
        input: what the camera gives.
        outputs: names, in the graph's order.
        nodes: in topological order; each lies on a way from the input to an output.
        tensors: by name, the input first.
    """

    name: str
    digest: str
    model: onnx.ModelProto
    input: Tensor
    outputs: tuple[str, ...]
    nodes: tuple[Node, ...]
    tensors: Mapping[str, Tensor]

    @cached_property
    def maker(self) -> Mapping[str, int]:
        """The place in ``nodes`` of the node that writes a tensor; the input is made by none."""
        return {output: place for place, node in enumerate(self.nodes) for output in node.outputs}

    @cached_property
    def readers(self) -> Mapping[str, tuple[int, ...]]:
        """The places in ``nodes`` of those that read a tensor."""
        found: dict[str, list[int]] = {name: [] for name in self.tensors}
        for place, node in enumerate(self.nodes):
            for name in dict.fromkeys(node.inputs):
                found[name].append(place)
        return {name: tuple(places) for name, places in found.items()}

    @property
    def macs(self) -> int:
        """Multiply-accumulates of a picture."""
        return sum(node.macs for node in self.nodes)

    def needed(self, wanted: Iterable[str], given: Collection[str] = ()) -> tuple[frozenset[int], frozenset[str]]:
        """What makes ``wanted``: places in ``nodes``, and which of ``given`` and the input they begin with."""
        places: set[int] = set()
        begun: set[str] = set()
        waiting = list(wanted)
        while waiting:
            name = waiting.pop()
            if name in given or name not in self.maker:
                begun.add(name)
            elif self.maker[name] not in places:
                places.add(self.maker[name])
                waiting.extend(self.nodes[self.maker[name]].inputs)
        return frozenset(places), frozenset(begun)
