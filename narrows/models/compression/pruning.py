"""Structured pruning of a network's encoder: whole channels go, so every runtime is faster by them.

::

    x ─► expand ─► depthwise ─► project ─► + ─►      a hidden channel: a row of expand, a filter, a column of project
    features ─► bottleneck ─► symbols ─► enter ─►    a latent channel: a row of the bottleneck, its gains and bits, a
                                                     column of the decoder

Hidden channels take part in no sum, so none of their neighbours changes, and nearly all multiply-accumulates hang on
them. What a channel costs is its share of the encoder's multiply-accumulates, or of the bits at the bottleneck; those
go first that matter least for what they cost. How much one matters is what it passes on: the norm of the weights that
read it times the deviation of what they read.

After Li et al., "Pruning Filters for Efficient ConvNets", ICLR 2017, with the cost of Molchanov et al., "Pruning
Convolutional Neural Networks for Resource Efficient Inference", ICLR 2017.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor, nn

from narrows.models.nn.efficientnet_lite import InvertedResidual
from narrows.models.nn.network import JointNetwork
from narrows.models.nn.reparametrised import Reparametrised

LEAST_HIDDEN, LEAST_LATENT = 8, 4
CHANNELS_AT_ONCE = 8
"""Channels that go together, so that a multiple stays: ONNX Runtime's blocked convolutions take as many at once (16
with AVX-512, which gains a twentieth over this), and what is no multiple goes a slower way. The demo bundle's encoder
takes 53 ms, 41 in int8; without 30 % of its work, whichever channels, 76 and 42; by eights 40 and 34."""
EXPAND, DEPTHWISE, PROJECT = 0, 3, 6
"""Places of the convolutions in a block's body; a batch norm follows each."""


@dataclass(frozen=True)
class Kept:
    """Channels that stay: of each block that expands, and of the latent; ascending.

    Attributes:
        gone: share of the cost that the others had: less than was asked where no more can go.
    """

    hidden: tuple[Tensor, ...]
    latent: Tensor
    gone: float


@dataclass(frozen=True)
class Group:
    """Channels of one place: how much each matters, as shares of the group, and what each costs of the whole.

    Attributes:
        least: so many stay.
        at_once: so many go together: as many or a multiple of it stay, or all.
    """

    matters: Tensor
    cost: float | Tensor
    least: int
    at_once: int = 1


def expanding_blocks(network: JointNetwork) -> list[InvertedResidual]:
    """Those with hidden channels of their own, in their order."""
    trunk = network.encoder.trunk
    return [each for each in trunk.modules() if isinstance(each, InvertedResidual) and len(each.body) > PROJECT]


@torch.no_grad()
def choose(network: JointNetwork, pictures: Tensor, share: float, bits_weight: float = 0.0) -> Kept:
    """Leave out channels until ``share`` of the cost is gone.

    Args:
        network: in evaluation mode.
        pictures: normalised ``(N, 3, H, W)``: what deviations and bits are measured on.
        share: 0 to 1, of multiply-accumulates and of bits as they are weighed.
        bits_weight: of the bits at the bottleneck, 0 to 1; the multiply-accumulates have the rest.

    Raises:
        ValueError: a share is none.
    """
    if not (0 <= share < 1 and 0 <= bits_weight <= 1):
        raise ValueError(f"share {share} and weight {bits_weight} of bits: both are shares")
    groups = _groups(network, pictures, bits_weight)
    stay = keep_most_worth(groups, share)
    left = sum(_cost(group, int(place)) for group, kept in zip(groups, stay, strict=True) for place in kept)
    return Kept(tuple(stay[:-1]), stay[-1], 1 - left)


def keep_most_worth(groups: Sequence[Group], share: float) -> list[Tensor]:
    """Of each group the places that stay, ascending, once ``share`` of the cost is gone: least worth goes first."""
    steps = sorted(
        (sum(float(group.matters[place]) for place in some) / cost, index, some)
        for index, group in enumerate(groups)
        for some in _steps(group)
        if (cost := sum(_cost(group, place) for place in some)) > 0  # what costs nothing would go in vain
    )
    gone: list[set[int]] = [set() for _ in groups]
    left = share
    for _, index, some in steps:
        if left <= 0:
            break
        gone[index].update(some)
        left -= sum(_cost(groups[index], place) for place in some)
    return [
        torch.tensor([place for place in range(len(group.matters)) if place not in out])
        for group, out in zip(groups, gone, strict=True)
    ]


def _steps(group: Group) -> Iterator[tuple[int, ...]]:
    """Places that go together, those of least worth first, as long as the least of the group stays."""
    channels = len(group.matters)
    by_worth = sorted(range(channels), key=lambda place: float(group.matters[place]) / (_cost(group, place) + 1e-12))
    most = channels - group.at_once * math.ceil(group.least / group.at_once)
    begin, end = 0, channels % group.at_once or group.at_once
    while end <= most:
        yield tuple(by_worth[begin:end])
        begin, end = end, end + group.at_once


def _cost(group: Group, place: int) -> float:
    return float(group.cost[place]) if isinstance(group.cost, Tensor) else group.cost


def _groups(network: JointNetwork, pictures: Tensor, bits_weight: float) -> list[Group]:
    blocks = expanding_blocks(network)
    read: dict[nn.Module, Tensor] = {}
    grids: dict[nn.Module, tuple[int, int]] = {}

    def note(module: nn.Module, given: tuple[Tensor, ...], made: Tensor) -> None:
        read[module] = given[0].float().std(dim=(0, 2, 3))
        grids[module] = (given[0][0, 0].numel(), made[0, 0].numel())

    hooks = [block.body[place].register_forward_hook(note) for block in blocks for place in (EXPAND, PROJECT)]
    latent = network.encoder(pictures)
    for hook in hooks:
        hook.remove()
    macs, matters = [], []
    for block in blocks:
        expand, filters, project = (cast("nn.Conv2d", block.body[place]) for place in (EXPAND, DEPTHWISE, PROJECT))
        each = expand.in_channels * grids[expand][0]
        each += (filters.kernel_size[0] ** 2 + project.out_channels) * grids[project][0]
        macs.append(each)
        matters.append(shares(project.weight.flatten(1).norm(dim=0) * read[project]))
    total = sum(each * len(some) for each, some in zip(macs, matters, strict=True))
    found = [
        Group(some, (1 - bits_weight) * each / total, LEAST_HIDDEN, CHANNELS_AT_ONCE)
        for some, each in zip(matters, macs, strict=True)
    ]
    bits = _bits_of_channels(network, latent)
    columns = _enter(network).wide[0][0].weight  # type: ignore[index]  # conv_bn made it
    reads = columns.flatten(1).norm(dim=0) * latent.float().std(dim=(0, 2, 3))
    found.append(Group(shares(reads), bits_weight * bits / bits.sum(), LEAST_LATENT))
    return found


def shares(values: Tensor) -> Tensor:
    """Of their sum."""
    return values / values.sum().clamp_min(1e-12)


def _bits_of_channels(network: JointNetwork, latent: Tensor) -> Tensor:
    """``(C,)``, by the rate model, over the levels."""
    found = torch.zeros(latent.shape[1])
    for level in range(network.shape.levels):
        at = torch.full((len(latent),), level)
        symbols = (latent * network.gains(at)).round()
        found += network.rate(symbols, at).sum(dim=(0, 2, 3))
    return found.clamp_min(1e-9)


def _enter(network: JointNetwork) -> Reparametrised:
    return cast("Reparametrised", network.decoder.enter[0])


@torch.no_grad()
def pruned(network: JointNetwork, kept: Kept) -> JointNetwork:
    """A network of the channels that stay; in evaluation mode it answers as if the others had been silent."""
    shape = replace(network.shape, latent_channels=len(kept.latent), expanded=tuple(len(each) for each in kept.hidden))
    smaller = JointNetwork(shape)
    state = dict(network.state_dict())
    for name, block in _named_blocks(network):
        places = kept.hidden[expanding_blocks(network).index(block)]
        for layer in (EXPAND, EXPAND + 1, DEPTHWISE, DEPTHWISE + 1):
            _select(state, f"{name}.body.{layer}.", places, 0)
        _select(state, f"{name}.body.{PROJECT}.", places, 1)
    _select(state, "encoder.bottleneck.", kept.latent, 0)
    _select(state, "gains.", kept.latent, 1)
    state["rate.base"] = state["rate.base"].index_select(1, kept.latent)
    state["rate.weight"] = state["rate.weight"].index_select(0, kept.latent)
    for copy in range(len(_enter(network).wide)):
        _select(state, f"decoder.enter.0.wide.{copy}.0.", kept.latent, 1)
    smaller.load_state_dict(state)
    return smaller.eval()


def _named_blocks(network: JointNetwork) -> Sequence[tuple[str, InvertedResidual]]:
    chosen = set(map(id, expanding_blocks(network)))
    return [(n, m) for n, m in network.named_modules() if isinstance(m, InvertedResidual) and id(m) in chosen]


def _select(state: dict[str, Tensor], prefix: str, places: Tensor, axis: int) -> None:
    for name in [name for name in state if name.startswith(prefix) and state[name].ndim > axis]:
        state[name] = state[name].index_select(axis, places)
