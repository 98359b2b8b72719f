"""The head of a network made smaller: channels go that matter least for what they cost.

What a channel costs is its share of the head's multiply-accumulates, and of the bits that cross where the channel is
one of the cut's: those are counted by the entropy of its values in 8 bits. How much it matters is by how much the loss
is expected to change without it, to the second order (Fisher pruning: Theis et al. 2018; Molchanov et al., CVPR 2019):
the square of weight times gradient, summed over the channel, over pictures. ``narrows.models.compression.pruning``
chooses. What a channel passed on in the mean goes into the biases of those that read it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor

from narrows.models.bottleneck.channels import Space, prunable_spaces, without_channels
from narrows.models.bottleneck.gradients import own_loss
from narrows.models.bottleneck.objective import Target
from narrows.models.bottleneck.trainable import Trainable
from narrows.models.bottleneck.weights import Rounded
from narrows.models.compression.pruning import CHANNELS_AT_ONCE, LEAST_HIDDEN, Group, keep_most_worth
from narrows.models.split.cuts import Cut
from narrows.models.split.halves import Runner, Values
from narrows.models.split.network import Network
from narrows.models.split.quantiser import by_range

_BITS = 8
Kept = Mapping[int, NDArray[np.int64]]
"""Of each space, by its place in a list, the channels that stay."""


@dataclass(frozen=True)
class Pruning:
    """How much is removed.

    Attributes:
        share: of the cost, 0 to 1: of multiply-accumulates and of bits as they are weighed.
        bits_weight: of the bits at the cut, 0 to 1; the multiply-accumulates have the rest.
    """

    share: float
    bits_weight: float


def prune(
    network: Network,
    cut: Cut,
    feeds: Sequence[Values],
    how: Pruning,
    target: Target,
    rounded: Mapping[str, Rounded],
) -> onnx.ModelProto:
    """The graph without that share of the head's cost, or as much of it as hangs on channels that can go.

    Args:
        network: of float weights.
        cut: where it is cut: what lies before is pruned.
        feeds: a few pictures as the network takes them.
        how: how much.
        target: what matters.
        rounded: weights that are shipped as whole numbers.
    """
    spaces = prunable_spaces(network, cut)
    seen = seen_on(network, cut.names, feeds)
    bits = {name: _bits_of_channels(seen[name]) for name in cut.names}
    all_bits = sum(float(each.sum()) for each in bits.values())
    matters = _matters(network, spaces, feeds, target, rounded)
    groups = []
    for space, each in zip(spaces, matters, strict=True):
        work = space.macs(network, cut) / max(1, cut.head_macs)
        cost = torch.full((space.channels,), (1 - how.bits_weight) * work)
        for name in set(cut.names).intersection(space.tensors):
            cost += how.bits_weight * torch.from_numpy(bits[name] / all_bits).float()
        groups.append(Group(each, cost, LEAST_HIDDEN, CHANNELS_AT_ONCE))
    kept = {number: each.numpy() for number, each in enumerate(keep_most_worth(groups, how.share))}
    return cut_out(network, spaces, kept, feeds)


def cut_out(network: Network, spaces: Sequence[Space], kept: Kept, feeds: Sequence[Values]) -> onnx.ModelProto:
    """The graph with the channels that are kept; biases have what the others passed on in the mean."""
    read = {network.nodes[place].inputs[0] for space in spaces for place in space.readers}
    seen = seen_on(network, sorted(read), feeds)
    model = onnx.ModelProto()
    model.CopyFrom(network.model)
    constants = {each.name: each for each in model.graph.initializer}
    for number, places in kept.items():
        gone = np.setdiff1d(np.arange(spaces[number].channels), places)
        for place in spaces[number].readers:
            proto = network.model.graph.node[network.nodes[place].index]
            if len(proto.input) < 3:
                continue
            means = seen[proto.input[0]].astype(np.float32).mean(axis=(0, 2, 3))[gone]
            passed = numpy_helper.to_array(constants[proto.input[1]])[:, gone].sum(axis=(2, 3)) @ means
            bias = numpy_helper.to_array(constants[proto.input[2]]) + passed.astype(np.float32)
            constants[proto.input[2]].CopyFrom(numpy_helper.from_array(bias, proto.input[2]))
    return without_channels(replace(network, model=model), kept, spaces)


def with_outputs(model: onnx.ModelProto, names: Sequence[str]) -> onnx.ModelProto:
    """A copy whose outputs are these tensors and no others."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    del copy.graph.output[:]
    copy.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    return copy


def seen_on(network: Network, names: Sequence[str], feeds: Sequence[Values]) -> Mapping[str, NDArray[Any]]:
    """Each tensor on all pictures, ``(N, C, H, W)``.

    As the graph stands: where int8 activations meet float weights, ONNX Runtime's optimisation leaves roundings out.
    """
    if not names:
        return {}
    runner = Runner(with_outputs(network.model, names), optimised=False)
    made = [runner(feed) for feed in feeds]
    return {name: np.concatenate([values[name] for values in made]) for name in names}


def _matters(
    network: Network,
    spaces: Sequence[Space],
    feeds: Sequence[Values],
    target: Target,
    rounded: Mapping[str, Rounded],
) -> list[Tensor]:
    trainable = Trainable(network, [target.tensor], rounded)
    weights = trainable.named_weights()
    found = [torch.zeros(space.channels) for space in spaces]
    torch.manual_seed(0)
    for feed in feeds:
        trainable.zero_grad()
        own_loss(target, trainable(torch.from_numpy(feed[network.input.name]))[target.tensor]).backward()  # type: ignore[no-untyped-call]
        for space, sum_of_squares in zip(spaces, found, strict=True):
            rows = [name for name, axis in space.slices if axis == 0 and name in weights]
            change = sum((_weight_times_gradient(weights[name]) for name in rows), torch.zeros(space.channels))
            sum_of_squares.add_(change**2)
    return found


def _weight_times_gradient(weight: torch.nn.Parameter) -> Tensor:
    gradient = torch.zeros_like(weight) if weight.grad is None else weight.grad
    return (weight.detach() * gradient).flatten(1).sum(dim=1) if weight.ndim > 1 else weight.detach() * gradient


def _bits_of_channels(values: NDArray[Any]) -> NDArray[np.float64]:
    """Of each channel on all pictures; a cut's tensors that are no planes of a picture count as one."""
    planes = values.astype(np.float32)
    planes = planes if planes.ndim == 4 else planes.reshape(len(planes), 1, 1, -1)
    symbols = by_range(planes, _BITS).symbols(planes)
    found = np.zeros(planes.shape[1])
    for channel in range(planes.shape[1]):
        _, counts = np.unique(symbols[:, channel], return_counts=True)
        found[channel] = -float((counts * np.log2(counts / counts.sum())).sum())
    return found + 1e-9
