"""DADS' minimum cuts: where the sum of device, link and server time is least, for a bandwidth.

Hu et al., "Dynamic Adaptive DNN Surgery for Inference Acceleration on the Edge", INFOCOM 2019, section IV: a node of
the network is a node of a flow graph, bound to the device by its time on the server and to the server by its time on
the device; an edge of the network costs the time that its tensor takes to cross. A tensor with several readers crosses
once, so it has a node of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import networkx as nx
import numpy as np

from narrows.models.split.network import Network

_DEVICE, _SERVER, _INPUT = -1, -2, -3
"""Beside the places of nodes; tensors go by their names."""
BANDWIDTHS_BYTES_PER_S = tuple(float(each) for each in np.geomspace(2e3, 1e8, 14))
DEVICE_SLOWER = (1.0, 3.0, 10.0, 30.0)
SERVER_SLOWER = (1.0, 5.0, 30.0)


@dataclass(frozen=True, slots=True)
class MinimumCut:
    """Nodes on the device and on the server, and the tensors that cross as they are."""

    head: frozenset[int]
    tail: frozenset[int]
    tensors: tuple[str, ...]
    size_bytes: int


def min_cuts(network: Network, node_ms: Sequence[float]) -> Iterator[MinimumCut]:
    """Those of many bandwidths and speeds of device and server, each once."""
    seen: set[frozenset[int]] = set()
    for device in DEVICE_SLOWER:
        for server in SERVER_SLOWER:
            for bandwidth in BANDWIDTHS_BYTES_PER_S:
                found = min_cut(network, node_ms, device, server, bandwidth)
                if found.head not in seen:
                    seen.add(found.head)
                    yield found


def min_cut(network: Network, node_ms: Sequence[float], device: float, server: float, bandwidth: float) -> MinimumCut:
    """The cut of least latency.

    Args:
        network: which.
        node_ms: milliseconds of each node on the machine that was profiled.
        device: how many times slower the device is.
        server: how many times slower the server is.
        bandwidth: bytes a second.
    """
    graph = nx.DiGraph()
    graph.add_edge(_DEVICE, _INPUT)  # without a capacity: the picture is taken at the device
    for place, ms in enumerate(node_ms):
        graph.add_edge(_DEVICE, place, capacity=ms * server)
        graph.add_edge(place, _SERVER, capacity=ms * device)
    for name, tensor in network.tensors.items():
        maker = network.maker.get(name, _INPUT)
        graph.add_edge(maker, name, capacity=tensor.size_bytes / bandwidth * 1e3)
        for reader in network.readers[name]:
            graph.add_edge(name, reader)
            if maker != _INPUT:
                graph.add_edge(reader, maker)  # what the device runs reads nothing of the server
    _, (near, _) = nx.minimum_cut(graph, _DEVICE, _SERVER, flow_func=nx.algorithms.flow.boykov_kolmogorov)
    head = frozenset(place for place in range(len(network.nodes)) if place in near)
    tail = frozenset(range(len(network.nodes))) - head
    crossing = tuple(
        name for name in network.tensors
        if (network.maker.get(name) is None or network.maker[name] in head)
        and any(reader in tail for reader in network.readers[name])
    )  # fmt: skip
    return MinimumCut(head, tail, crossing, sum(network.tensors[name].size_bytes for name in crossing))
