"""The head of a network made smaller: channels go that matter least for what they cost.

What a channel costs is its share of the head's multiply-accumulates, and of the bits that cross where the channel is
one of the cut's: those are counted by the entropy of its values in 8 bits. How much it matters is the norm of the
weights that read it times the deviation of what they read, as in ``narrows.models.compression.pruning``, which chooses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper

from narrows.models.bottleneck.channels import Space, prunable_spaces, without_channels
from narrows.models.compression.pruning import LEAST_HIDDEN, Group, keep_most_worth, shares
from narrows.models.split.cuts import Cut
from narrows.models.split.halves import Runner, Values
from narrows.models.split.network import Network
from narrows.models.split.quantiser import by_range

_BITS = 8


def prune(network: Network, cut: Cut, feeds: Sequence[Values], share: float, bits_weight: float) -> onnx.ModelProto:
    """The graph without ``share`` of the head's cost, or as much of it as hangs on channels that can go.

    Args:
        network: of float weights.
        cut: where it is cut: what lies before is pruned.
        feeds: a few pictures as the network takes them.
        share: 0 to 1, of multiply-accumulates and of bits as they are weighed.
        bits_weight: of the bits at the cut, 0 to 1; the multiply-accumulates have the rest.
    """
    spaces = prunable_spaces(network, cut)
    read = {network.nodes[place].inputs[0] for space in spaces for place in space.readers}
    seen = _seen(network, read | set(cut.names), feeds)
    bits = {name: _bits_of_channels(seen[name]) for name in cut.names}
    all_bits = sum(float(each.sum()) for each in bits.values())
    weights = {each.name: each for each in network.model.graph.initializer}
    groups = []
    for space in spaces:
        cost = torch.full((space.channels,), (1 - bits_weight) * space.macs(network, cut) / max(1, cut.head_macs))
        for name in set(cut.names).intersection(space.tensors):
            cost += bits_weight * torch.from_numpy(bits[name] / all_bits).float()
        groups.append(Group(shares(_matters(network, space, seen, weights)), cost, LEAST_HIDDEN))
    stay = keep_most_worth(groups, share)
    return without_channels(network, {number: each.numpy() for number, each in enumerate(stay)}, spaces)


def _seen(network: Network, names: set[str], feeds: Sequence[Values]) -> Mapping[str, NDArray[Any]]:
    """Each tensor on all pictures, ``(N, C, H, W)``."""
    wanted = sorted(names)
    runner = Runner(with_outputs(network.model, wanted))
    made = [runner(feed) for feed in feeds]
    return {name: np.concatenate([values[name] for values in made]) for name in wanted}


def with_outputs(model: onnx.ModelProto, names: Sequence[str]) -> onnx.ModelProto:
    """A copy whose outputs are these tensors and no others."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    del copy.graph.output[:]
    copy.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    return copy


def _matters(
    network: Network, space: Space, seen: Mapping[str, NDArray[Any]], weights: Mapping[str, onnx.TensorProto]
) -> torch.Tensor:
    energy = np.zeros(space.channels)
    for place in space.readers:
        node = network.nodes[place]
        columns = numpy_helper.to_array(weights[network.model.graph.node[node.index].input[1]])
        deviation = seen[node.inputs[0]].astype(np.float32).std(axis=(0, 2, 3))
        energy += (np.sqrt((columns**2).sum(axis=(0, 2, 3))) * deviation) ** 2
    return torch.from_numpy(np.sqrt(energy)).float()


def _bits_of_channels(values: NDArray[Any]) -> NDArray[np.float64]:
    """Of each channel on all pictures; a cut's tensors that are no planes of a picture count as one."""
    planes = values.astype(np.float32)
    symbols = by_range(planes, _BITS).symbols(planes)
    found = np.zeros(planes.shape[1])
    for channel in range(planes.shape[1]):
        _, counts = np.unique(symbols[:, channel], return_counts=True)
        found[channel] = -float((counts * np.log2(counts / counts.sum())).sum())
    return found + 1e-9
