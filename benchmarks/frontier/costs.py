"""What a network costs: counted on its graphs, and measured, the camera on a device as int8, the cloud here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.frontier.data import Parts
from benchmarks.frontier.derived import is_current
from benchmarks.frontier.plan import Cell, Graphs, RunFolder
from narrows.models.export.int8_throughout import quantise_throughout
from narrows.models.export.resources import Resources, count_resources, write_and_count
from narrows.models.nn.weak import grid_at4
from narrows.models.nn.weak_designs import WeakNetwork
from narrows.models.split.device import Device, Effort, Local
from narrows.models.split.measurements import DeviceMeasurement, busy_ms
from narrows.models.training.augment import normalise

_CALIBRATION_PICTURES = 16
INPUT = "input0"
"""What the exported camera calls the picture."""


@dataclass(frozen=True)
class Costs:
    """Of one frame; milliseconds are of the int8 camera and the float cloud (:class:`Target`)."""

    camera: Resources
    camera_ms: float
    camera_int8_bytes: int
    cloud: Resources | None
    cloud_ms: float | None


@dataclass(frozen=True)
class Target:
    """Where networks are measured: a device, what ``--device`` calls it, and what was measured of it before.

    Milliseconds are of a processor, over the share of it that a quota leaves, as those of `narrows search`: what else
    the machine does hardly changes them.
    """

    device: Device
    name: str = "local"
    measured: Mapping[str, DeviceMeasurement] = field(default_factory=dict)

    def milliseconds(self, graph: Path) -> float:
        """Of one frame through a graph; it is measured unless that was done before."""
        data = graph.read_bytes()
        if (known := self.measured.get(sha256(data).hexdigest())) is not None:
            return known.busy_ms
        found = self.device.measure(data, Effort(runs=20, seconds=1.0))
        return busy_ms({"processor_s": found.processor_s}, self.name)


CLOUD = Target(Local())
"""Where clouds are measured: on this machine, wherever its cameras are."""


class Part(NamedTuple):
    """A half, and inputs of the shapes that it takes."""

    network: nn.Module
    inputs: Sequence[Tensor]


class CloudGraph(nn.Module):
    """The cloud's part with tensors alone as inputs: those of latent and labels that the design sends."""

    def __init__(self, network: WeakNetwork, size: tuple[int, int]) -> None:
        super().__init__()
        assert network.cloud is not None
        self.cloud, self.design, self.grid = network.cloud, network.design, grid_at4(size)

    def forward(self, *sent: Tensor) -> Tensor:
        """Class logits at 1/4."""
        latent = sent[0] if self.design.sends_symbols else None
        labels = sent[-1] if self.design.sends_labels else None
        logits: Tensor = self.cloud(latent, labels, self.grid)
        return logits

    def example(self, network: WeakNetwork, size: tuple[int, int]) -> list[Tensor]:
        """Inputs of the right shapes."""
        stride, height, width = network.shape.latent_stride, *size
        latent = torch.zeros(1, network.shape.latent_channels, -(-height // stride), -(-width // stride))
        labels = torch.zeros(1, self.cloud.classify.out_channels, *self.grid)
        return [*([latent] if self.design.sends_symbols else []), *([labels] if self.design.sends_labels else [])]


def cost_of(
    cell: Cell,
    network: WeakNetwork,
    parts: Parts,
    folder: RunFolder,
    cameras: Target,
) -> Costs:
    """Export what is not exported of these weights yet, count it, and measure it."""
    network = network.eval()
    cloud = None
    if network.cloud is not None:
        graph = CloudGraph(network, parts.size)
        cloud = Part(graph, graph.example(network, parts.size))
    camera = Part(network.camera, [torch.zeros(1, 3, *parts.size)])
    return costs_of(camera, cloud, folder.graphs(cell), folder.weights(cell), parts, cameras)


def costs_of(
    camera: Part,
    cloud: Part | None,
    graphs: Graphs,
    weights: Path,
    parts: Parts,
    cameras: Target,
) -> Costs:
    """Of any camera and cloud; ``graphs`` is where their graphs are kept, and made anew once ``weights`` are others."""
    if not is_current(graphs.camera_int8, weights):
        write_and_count(camera.network, camera.inputs, graphs.camera)
        quantise_throughout(graphs.camera, ({INPUT: picture} for picture in _calibration(parts)), graphs.camera_int8)
    if cloud is not None and not is_current(graphs.cloud, weights):
        write_and_count(cloud.network, cloud.inputs, graphs.cloud)
    return Costs(
        count_resources(graphs.camera),
        cameras.milliseconds(graphs.camera_int8),
        graphs.camera_int8.stat().st_size,
        None if cloud is None else count_resources(graphs.cloud),
        None if cloud is None else CLOUD.milliseconds(graphs.cloud),
    )


def _calibration(parts: Parts) -> list[NDArray[np.float32]]:
    some = parts.train[:: max(1, len(parts.train) // _CALIBRATION_PICTURES)]
    return [normalise(sample.picture)[None] for sample in some]
