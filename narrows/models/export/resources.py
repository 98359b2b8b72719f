"""What a network asks of a machine: multiply-accumulates, parameters, and memory of its activations as int8.

Everything is counted on the exported graph, batch norms folded as they are shipped, so that all designs are counted by
one tool: :mod:`narrows.models.export.cost` and :mod:`narrows.models.export.memory_plan`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx
from onnx import shape_inference
from torch import Tensor, nn

from narrows.models.export.cost import count_cost
from narrows.models.export.folding import fold
from narrows.models.export.graphs import write_graph
from narrows.models.export.memory_plan import plan_memory


@dataclass(frozen=True)
class Resources:
    """Of one frame.

    Attributes:
        macs: multiply-accumulates.
        parameters: so many bytes of weights as int8.
        peak_bytes: the most activations that live at once, a byte each.
        peak_step: the operator at which they do.
    """

    macs: int
    parameters: int
    peak_bytes: int
    peak_step: str


def write_and_count(network: nn.Module, inputs: Sequence[Tensor], path: Path) -> Resources:
    """Export a network as a float graph to ``path``, whole or not, for inputs of these shapes, and count it."""
    names = [f"input{index}" for index in range(len(inputs))]
    write_graph(fold(network), tuple(inputs), path, names, [], None)
    return count_resources(path)


def count_resources(path: Path) -> Resources:
    """Count a graph's file.

    Raises:
        ValueError, WeightsMismatch: a shape stays unknown: export it with fixed picture sizes.
    """
    cost = count_cost(path)
    plan = plan_memory(shape_inference.infer_shapes(onnx.load(path), strict_mode=True, data_prop=True).graph)
    return Resources(cost.macs, cost.parameters, plan.peak_bytes, plan.peak_step)
