"""What each cut costs: time on the device and on the server, bytes on the link, memory and energy of the head.

A device that optimises a graph fuses its nodes. So each node is named by its place, which ONNX Runtime keeps in the
names of what it fuses, or else names it after its output; the time of a fused node counts where the node stands that
it is named after. What has no such name (the reordering of a tensor, say) counts with what ran before. The times are
those of ONNX Runtime's profiler, scaled so that they sum to a run of the whole network without it.

What crosses is coded, too. Before there are pictures, that is known by the number of values alone: one reference tensor
is coded on both machines. Designs on pictures time what really crosses (:mod:`narrows.models.split.coding_times`).
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import onnx

from narrows.models.split.coding_probe import Job
from narrows.models.split.coding_times import (
    REFERENCE_BITS,
    CodingTimes,
    Machines,
    reference_job,
    reference_values,
    time_job,
)
from narrows.models.split.cuts import Cut, find_cuts
from narrows.models.split.device import Device, Effort, Measured
from narrows.models.split.memory import head_memory_bytes
from narrows.models.split.network import Network

PRECISIONS_BITS = (16, 8, 6, 4, 3, 2)
WATTS_A_CORE = 3.0
"""Where no counter tells: of a small ARM or x86 core at work, an assumption to compare cuts by."""
_BLOCKED = "_nchwc"
"""What the name of a convolution in blocks of channels ends in, after that of its output."""
_NODE = "narrows_"


@dataclass(frozen=True)
class NodeTimes:
    """Milliseconds of each of ``Network.nodes`` on one machine, and what else was found there."""

    ms: tuple[float, ...]
    energy_mj: float
    energy_source: str
    runtime: str

    @property
    def whole_ms(self) -> float:
        """Of a picture, nothing split."""
        return sum(self.ms)

    def share_ms(self, places: frozenset[int]) -> float:
        """Of some nodes."""
        return sum(self.ms[place] for place in places)


@dataclass(frozen=True)
class CodingSpeed:
    """Nanoseconds a number to code on the device and to decode on the server, of a reference tensor at 8 bits."""

    encode_ns: float
    decode_ns: float
    source: str


@dataclass(frozen=True)
class Profile:
    """A network on a device and on a server, with all its cuts."""

    network: Network
    device: NodeTimes
    server: NodeTimes
    cuts: tuple[Cut, ...]
    machines: Machines = field(default_factory=Machines)

    def coding(self, job: Job) -> CodingTimes:
        """What coding takes on these machines.

        Raises:
            ProfilingFailed: see :func:`narrows.models.split.coding_times.time_job`.
        """
        return time_job(self.machines, job, self.device.whole_ms / self.server.whole_ms)


def profile(network: Network, device: Device, server: Device | None, effort: Effort) -> Profile:
    """Measure a network on a device, and on a server if that is another machine.

    Raises:
        ProfilingFailed: a machine does not answer, or cannot run the network.
    """
    at_device = measure_nodes(network, device, effort)
    at_server = at_device if server is None else measure_nodes(network, server, effort)
    return Profile(network, at_device, at_server, find_cuts(network), Machines(device, server))


def coding_speed(found: Profile) -> CodingSpeed:
    """How fast what crosses is coded, whatever it is.

    Raises:
        ProfilingFailed: see :meth:`Profile.coding`.
    """
    coded = found.coding(reference_job())
    (time,), count = coded.times, reference_values()
    return CodingSpeed(1e6 * time.encode_ms / count, 1e6 * time.decode_ms / count, coded.source)


def measure_nodes(network: Network, device: Device, effort: Effort) -> NodeTimes:
    """The time of each node, as it runs on a device."""
    found = device.measure(named_by_place(network).SerializeToString(), effort)
    ms = _scaled(_by_place(network, found.nodes), statistics.fmean(found.whole_ms))
    energy_mj, source = _energy(found)
    return NodeTimes(ms, energy_mj, source, found.runtime)


def named_by_place(network: Network) -> onnx.ModelProto:
    """The graph with each live node named after its place among ``Network.nodes``."""
    model = onnx.ModelProto()
    model.CopyFrom(network.model)
    mark = _unused(network)
    for number, node in enumerate(model.graph.node):
        node.name = f"constant_{number}"
    for place, live in enumerate(network.nodes):
        model.graph.node[live.index].name = f"{mark}{place}"
    return model


def _unused(network: Network) -> str:
    """What nodes are called but for their places: part of no tensor's name, after which a fused node may be called."""
    mark = _NODE
    while any(mark in name for name in network.tensors):
        mark += _NODE
    return mark


def _by_place(network: Network, events: Sequence[tuple[str, float]]) -> list[float]:
    ms = [0.0] * len(network.nodes)
    before, named = 0, re.compile(f"{_unused(network)}(\\d+)")
    for name, microseconds in events:
        found = named.search(name)
        before = int(found[1]) if found else network.maker.get(name.removesuffix(_BLOCKED), before)
        ms[before] += microseconds / 1e3
    return ms


def _scaled(ms: Sequence[float], whole_ms: float) -> tuple[float, ...]:
    total = sum(ms)
    return tuple(each * whole_ms / total if total else whole_ms / len(ms) for each in ms)


def _energy(found: Measured) -> tuple[float, str]:
    if found.energy_j is not None:
        return found.energy_j * 1e3, found.energy_source or "rapl"
    return found.processor_s * WATTS_A_CORE * 1e3, f"estimate: {WATTS_A_CORE:g} W a core at work"


def as_record(found: Profile, speed: CodingSpeed) -> dict[str, Any]:
    """The profile as JSON has it: `cuts` from the camera's end to the cloud's."""
    network = found.network
    return {
        "network": network.name,
        "sha256": network.digest,
        "input": _tensor(network.input.name, network.input.shape, network.input.dtype),
        "outputs": list(network.outputs),
        "macs": network.macs,
        "precisions_bits": list(PRECISIONS_BITS),
        "device_only": {
            "device_ms": found.device.whole_ms,
            "result_bytes": sum(network.tensors[name].size_bytes for name in network.outputs),
            "energy_mj": found.device.energy_mj,
            "memory_bytes": head_memory_bytes(network, frozenset(range(len(network.nodes))), network.outputs),
        },
        "server_only": {"server_ms": found.server.whole_ms, "input_bytes": network.input.size_bytes},
        "energy_source": found.device.energy_source,
        "runtime": {"device": found.device.runtime, "server": found.server.runtime},
        "coding": {
            "bits": REFERENCE_BITS,
            "encode_ns": speed.encode_ns,
            "decode_ns": speed.decode_ns,
            "source": speed.source,
        },
        "nodes": _nodes(found),
        "cuts": [_cut(found, cut, speed) for cut in found.cuts],
    }


def _tensor(name: str, shape: Sequence[int], dtype: str) -> Mapping[str, Any]:
    return {"name": name, "shape": list(shape), "dtype": dtype}


def _nodes(found: Profile) -> list[Mapping[str, Any]]:
    times = zip(found.network.nodes, found.device.ms, found.server.ms, strict=True)
    return [
        {"name": node.name, "operator": node.operator, "macs": node.macs, "device_ms": device, "server_ms": server}
        for node, device, server in times
    ]


def _cut(found: Profile, cut: Cut, speed: CodingSpeed) -> Mapping[str, Any]:
    network = found.network
    values = sum(tensor.values for tensor in cut.tensors)
    head_ms = found.device.share_ms(cut.head)
    return {
        "tensors": list(cut.names),
        "head_ms": head_ms,
        "tail_ms": found.server.share_ms(cut.tail),
        "encode_ms": values * speed.encode_ns / 1e6,
        "decode_ms": values * speed.decode_ns / 1e6,
        "bytes": {"native": cut.size_bytes} | {str(bits): cut.bytes_at(bits) for bits in PRECISIONS_BITS},
        "shapes": [_tensor(tensor.name, tensor.shape, tensor.dtype) for tensor in cut.tensors],
        "head_nodes": len(cut.head),
        "tail_nodes": len(cut.tail),
        "head_macs": cut.head_macs,
        "tail_macs": cut.tail_macs,
        "head_memory_bytes": head_memory_bytes(network, cut.head, cut.names),
        "head_weights_bytes": sum(network.nodes[place].weights_bytes for place in cut.head),
        "head_energy_mj": found.device.energy_mj * head_ms / found.device.whole_ms,
        "tail_weights_bytes": sum(network.nodes[place].weights_bytes for place in cut.tail),
        "head_operators": sorted({network.nodes[place].operator for place in cut.head}),
    }
