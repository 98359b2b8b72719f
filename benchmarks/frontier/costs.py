"""What a network costs at the camera and in the cloud: counted on its graphs, and measured on a device as int8."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.frontier.data import Parts
from benchmarks.frontier.plan import Cell, RunFolder
from narrows.models.export.int8_throughout import quantise_throughout
from narrows.models.export.resources import Resources, count_resources, write_and_count
from narrows.models.nn.weak import grid_at4
from narrows.models.nn.weak_designs import WeakNetwork
from narrows.models.split.device import Device, Effort
from narrows.models.split.measurements import DeviceMeasurement
from narrows.models.training.augment import normalise

_CALIBRATION_PICTURES = 16
INPUT = "input0"
"""What the exported camera calls the picture."""


@dataclass(frozen=True)
class Costs:
    """Of one frame; milliseconds are those of a processor, of the int8 camera and the float cloud.

    Processor time of one thread hardly depends on what else the machine does, where latency does. Of a device that was
    measured before it is the median latency.
    """

    camera: Resources
    camera_ms: float
    camera_int8_bytes: int
    cloud: Resources | None
    cloud_ms: float | None


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
    device: Device,
    measured: Mapping[str, DeviceMeasurement],
) -> Costs:
    """Export what is not exported yet, count it, and measure it unless ``measured`` knows the file."""
    camera, int8, cloud = (folder.graph(cell, part) for part in ("camera", "camera.int8", "cloud"))
    network = network.eval()
    if not int8.is_file():
        write_and_count(network.camera, [torch.zeros(1, 3, *parts.size)], camera)
        quantise_throughout(camera, ({INPUT: picture} for picture in _calibration(parts)), int8)
    if network.cloud is not None and not cloud.is_file():
        graph = CloudGraph(network, parts.size)
        write_and_count(graph, graph.example(network, parts.size), cloud)
    has_cloud = network.cloud is not None
    return Costs(
        count_resources(camera),
        _ms(int8, device, measured),
        int8.stat().st_size,
        count_resources(cloud) if has_cloud else None,
        _ms(cloud, device, {}) if has_cloud else None,
    )


def _calibration(parts: Parts) -> list[NDArray[np.float32]]:
    some = parts.train[:: max(1, len(parts.train) // _CALIBRATION_PICTURES)]
    return [normalise(sample.picture)[None] for sample in some]


def _ms(graph: Path, device: Device, measured: Mapping[str, DeviceMeasurement]) -> float:
    data = graph.read_bytes()
    if (known := measured.get(sha256(data).hexdigest())) is not None:
        return known.latency_ms["p50"]
    return 1e3 * device.measure(data, Effort(runs=20, seconds=1.0)).processor_s
