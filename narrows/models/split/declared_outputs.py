"""What a network's outputs are called in its bundle, and what they are taken for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import count

from narrows.contract.errors import SplitError
from narrows.contract.outputs import Output
from narrows.contract.outputs.boxes import KIND as BOXES
from narrows.contract.outputs.floats import PLANES_DEFLATE
from narrows.contract.outputs.heatmaps import KIND as HEATMAPS
from narrows.contract.outputs.labels import labels_output
from narrows.contract.outputs.scores import KIND as SCORES
from narrows.contract.outputs.scores import RAW
from narrows.models.split.network import DTYPES, Network, Tensor


def declared_outputs(network: Network, names: Sequence[str]) -> tuple[Output, ...]:
    """The network's outputs as kinds: by dtype and shape, for a graph does not say what its numbers mean.

    - integers of a picture's form: a label map;
    - floats ``(n,)``: scores; ``(n, columns)``: boxes; ``(C, H, W)``: heat maps, or scores where both sides are 1.

    Raises:
        SplitError: an output is of no form that travels, or a label map without the names of its classes.
    """
    found: list[Output] = []
    for place, name in enumerate(network.outputs):
        tensor = network.tensors[name]
        if not tensor.shape or tensor.shape[0] != 1:
            raise SplitError(f"output {name} is {tensor.shape}: its first side is not the batch of 1")
        if not tensor.values:
            raise SplitError(f"output {name} is {tensor.shape}: it holds no number")
        named = tuple(names) if place == 0 else ()
        found.append(_output(_plain(name, place, found), tensor, named))
    return tuple(found)


def _output(name: str, tensor: Tensor, names: tuple[str, ...]) -> Output:
    shape = tensor.shape[1:]
    sides = tuple(side for side in shape if side > 1)
    if not tensor.is_float:
        if len(sides) != 2 or tensor.dtype not in DTYPES:
            raise SplitError(
                f"output {tensor.name} is {tensor.dtype} of {shape}: neither a label map nor anything known"
            )
        if not names:
            raise SplitError(f"output {tensor.name} is a label map: name its classes (--classes FILE)")
        height, width = shape[-2:]
        declared = labels_output(height, width, names)
        return Output(name, declared.kind, declared.dtype, declared.shape, declared.packing, names)
    if len(sides) <= 1 and len(shape) in {1, 3} and shape[1:] in {(), (1, 1)}:
        return Output(name, SCORES, "float32", shape[:1], RAW, _if_fitting(names, shape[0]))
    if len(shape) == 2:
        return Output(name, BOXES, "float32", shape, PLANES_DEFLATE, _if_fitting(names, shape[1]))
    if len(shape) == 3:
        return Output(name, HEATMAPS, "float32", shape, PLANES_DEFLATE, _if_fitting(names, shape[0]))
    raise SplitError(f"output {tensor.name} is {shape} floats: scores have one side, boxes two, heat maps three")


def _if_fitting(names: tuple[str, ...], count: int) -> tuple[str, ...]:
    return names if len(names) == count else ()


def _plain(name: str, place: int, found: Sequence[Output]) -> str:
    """A name as outputs have it, that none has yet and no tensor of the tail."""
    plain = re.sub(r"[^a-z0-9_]+", "_", name.lower()).strip("_")[:48]
    taken = {output.name for output in found}
    usable = plain and plain[0].isalpha() and plain not in taken and not plain.startswith("tensor_")
    if usable and plain != name:
        return plain
    return next(numbered for number in count(place) if (numbered := f"output_{number}") not in taken)
