"""Layer times as schedulers know them: as measured, and as Neurosurgeon predicts them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from narrows.models.split.coding_probe import Job
from narrows.models.split.coding_times import Machines
from narrows.models.split.device import Coded, Device, Effort, Measured
from narrows.models.split.network import Network
from narrows.models.split.profile import WATTS_A_CORE, Profile


def by_processor_time(found: Profile) -> Profile:
    """Scaled to the processor seconds of a run, one thread: other programs on this machine slow no design down."""
    if not found.device.energy_source.startswith("estimate"):
        return found
    whole_ms = found.device.energy_mj / WATTS_A_CORE
    scaled = tuple(ms * whole_ms / found.device.whole_ms for ms in found.device.ms)
    times = replace(found.device, ms=scaled)
    return replace(found, device=times, server=times, machines=Machines(_ByProcessorTime(found.machines.device)))


@dataclass(frozen=True)
class _ByProcessorTime:
    """A device whose coding is not slowed down by other programs either."""

    device: Device

    def measure(self, model: bytes, effort: Effort) -> Measured:
        """As the device."""
        return self.device.measure(model, effort)

    def time_coding(self, job: Job) -> Coded:
        """The device's processor time."""
        return replace(self.device.time_coding(job), stretch=1.0)


def predicted_ms(network: Network, measured_ms: Sequence[float]) -> list[float]:
    """Milliseconds of each node by its kind's least-squares line over multiply-accumulates and values written.

    Kang et al. (ASPLOS 2017, section 4.1) fit such lines to a device once, by kind of layer, and predict any network by
    them. Here they are fitted to the very network that they then predict, which is to their favour.
    """
    kinds: dict[str, list[int]] = {}
    for place, node in enumerate(network.nodes):
        kinds.setdefault(node.operator, []).append(place)
    predicted = [0.0] * len(network.nodes)
    for places in kinds.values():
        rows = np.array([_features(network, place) for place in places])
        times = np.array([measured_ms[place] for place in places])
        line, *_ = np.linalg.lstsq(rows, times, rcond=None)
        for place, value in zip(places, rows @ line, strict=True):
            predicted[place] = max(0.0, float(value))
    return predicted


def _features(network: Network, place: int) -> tuple[float, float, float]:
    node = network.nodes[place]
    written = sum(network.tensors[name].values for name in node.outputs)
    return 1.0, node.macs / 1e6, written / 1e6
