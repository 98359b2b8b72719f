"""What a candidate takes of a camera, from its blocks, and what the camera has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cache

import onnx
from onnx import shape_inference

from narrows.contract.errors import ConfigError
from narrows.models.export.resources import count_resources
from narrows.models.search.blocks import Block, Placed, write_block
from narrows.models.search.latency_table import Latencies
from narrows.runtime.surroundings import scratch_folder


@dataclass(frozen=True)
class CameraCost:
    """Of one frame.

    Attributes:
        latency_ms: on the device; ``None`` where it was not asked.
        peak_bytes: of activations as int8.
        weights_bytes: as int8.
        operators: of the graph.
    """

    macs: int
    weights_bytes: int
    peak_bytes: int
    operators: frozenset[str]
    latency_ms: float | None = None


@dataclass(frozen=True)
class CameraLimits:
    """What the device has; ``None`` is no limit.

    Raises:
        ConfigError: one is 0, which no network keeps.
    """

    latency_ms: float | None = None
    peak_bytes: int | None = None
    weights_bytes: int | None = None
    macs: int | None = None
    operators: frozenset[str] | None = None

    def __post_init__(self) -> None:
        for name in self._numbers:
            if (limit := getattr(self, name)) is not None and limit <= 0:
                raise ConfigError(f"a limit of {limit:g} {name}: no network keeps it; name one above 0, or none")

    @property
    def _numbers(self) -> tuple[str, ...]:
        return tuple(field.name for field in fields(self) if field.name != "operators")

    def excess(self, cost: CameraCost) -> dict[str, float]:
        """By the name of each limit that is broken: by which share, or by how many operators."""
        broken = {}
        for name in self._numbers:
            limit, taken = getattr(self, name), getattr(cost, name)
            if limit is not None and taken is not None and taken > limit:
                broken[name] = taken / limit - 1
        if self.operators is not None and (unknown := cost.operators - self.operators):
            broken["operators"] = float(len(unknown))
        return broken


def static_cost(placed: Sequence[Placed]) -> CameraCost:
    """What can be counted without a device; as the exported network's, to the byte where a camera has one end."""
    counted = [(_counted(each.block), each.beside_bytes) for each in placed]
    return CameraCost(
        macs=sum(cost.macs for cost, _ in counted),
        weights_bytes=sum(cost.weights_bytes for cost, _ in counted),
        peak_bytes=max(cost.peak_bytes + beside for cost, beside in counted),
        operators=frozenset[str]().union(*(cost.operators for cost, _ in counted)),
    )


def latency_ms(placed: Sequence[Placed], latencies: Latencies) -> float:
    """The sum of the blocks.

    Raises:
        ConfigError, ProfilingFailed: one of them is not known.
    """
    return sum(latencies.block_ms(each.block) for each in placed)


@cache
def _counted(block: Block) -> CameraCost:
    with scratch_folder() as folder:
        path = folder / "block.onnx"
        model = write_block(block, path)
        found = count_resources(path)
        operators = frozenset(node.op_type for node in model.graph.node)
    return CameraCost(found.macs, found.parameters, found.peak_bytes, operators)


def operators_of(model: onnx.ModelProto) -> frozenset[str]:
    """Of an exported graph."""
    return frozenset(node.op_type for node in shape_inference.infer_shapes(model).graph.node)
