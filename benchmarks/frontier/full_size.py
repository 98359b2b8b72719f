"""The largest budget: a camera that runs the demo's network, and sends its features, or its mask.

It is the recipe's network of ``make train-drives`` that never saw the drive that is judged, trained otherwise than the
smaller ones; features and mask are of the same weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.frontier.coding import DIVISORS, PACKET_BYTES, LabelCoder, SymbolCoder
from benchmarks.frontier.costs import Costs, Part, Target, costs_of
from benchmarks.frontier.data import Parts
from benchmarks.frontier.plan import FULL_GMAC, Cell, Graphs
from benchmarks.frontier.score import COUNTED, Scored, scored_masks, some
from benchmarks.rate.labelmaps import larger
from narrows.contract.codec import quantise
from narrows.contract.outputs.labels.scaling import divide_labels
from narrows.models.dataset import LabelledPicture
from narrows.models.nn.network import JointNetwork
from narrows.models.nn.weak_designs import Design
from narrows.models.training.augment import normalise

CELLS = (Cell(FULL_GMAC, Design.EDGE, 0.0, 1), Cell(FULL_GMAC, Design.FEATURES, 0.2, 1))
_FINEST = 0
Labels = NDArray[np.uint8]


class _Look(NamedTuple):
    """What the network makes of a picture: the latent ``(C, h, w)``, and its mask ``(H, W)``."""

    latent: NDArray[np.float32]
    mask: Labels


@torch.no_grad()
def score_full_size(network: JointNetwork, cell: Cell, parts: Parts) -> Mapping[str, Scored]:
    """Every way to send of the mask made at the camera, or of features."""
    network.eval()
    counted = [_look(network, sample) for sample in some(parts.train, COUNTED)]
    judged = [_look(network, sample) for sample in parts.judged]
    if cell.design is Design.EDGE:
        classes = len(parts.classes.names)
        small = [[divide_labels(look.mask, divisor, classes) for look in counted] for divisor in DIVISORS]
        coder = LabelCoder.count(small, classes)
        return {f"1/{divisor}": _masks(judged, parts, coder, divisor, classes) for divisor in DIVISORS}
    levels = range(network.shape.levels)
    return {f"level {level}": _features(network, counted, judged, parts, level) for level in levels}


def _look(network: JointNetwork, sample: LabelledPicture) -> _Look:
    latent = network.encoder(torch.from_numpy(normalise(sample.picture))[None])
    gain = network.gains.log_gain[_FINEST].exp()[:, None, None]
    return _Look(latent[0].numpy(), _mask(network, (latent * gain).round() / gain, sample.labels.shape))


def _mask(network: JointNetwork, latent: Tensor, size: tuple[int, ...]) -> Labels:
    found: Labels = network.decoder(latent, (size[0], size[1]))[0].argmax(dim=0).to(torch.uint8).numpy()
    return found


def _masks(judged: list[_Look], parts: Parts, coder: LabelCoder, divisor: int, classes: int) -> Scored:
    small = [divide_labels(look.mask, divisor, classes) for look in judged]
    sizes = [PACKET_BYTES + coder.bytes_of(mask) for mask in small]
    return scored_masks(sizes, [larger(mask, divisor, parts.size) for mask in small], parts)


def _features(network: JointNetwork, counted: list[_Look], judged: list[_Look], parts: Parts, level: int) -> Scored:
    gain = network.gains.log_gain[level].exp().numpy()
    training = np.stack([quantise(look.latent, gain) for look in counted])
    coder = SymbolCoder.count(training, None, len(parts.classes.names))
    sizes, masks = [], []
    for look in judged:
        symbols = coder.tables.silence(quantise(look.latent, gain), 0)
        sizes.append(PACKET_BYTES + len(coder.encode(symbols, None)))
        latent = torch.from_numpy(symbols.astype(np.float32) / gain[:, None, None])[None]
        masks.append(_mask(network, latent, parts.size))
    return scored_masks(sizes, masks, parts)


class WholeNetwork(nn.Module):
    """Pictures to logits, nothing sent on the way: a camera that makes the mask, or a cloud that is sent pictures."""

    def __init__(self, network: JointNetwork, size: tuple[int, int]) -> None:
        super().__init__()
        self.encoder, self.decoder, self.size = network.encoder, network.decoder, size

    def forward(self, pictures: Tensor) -> Tensor:
        """Run both halves."""
        logits: Tensor = self.decoder(self.encoder(pictures), self.size)
        return logits


class _Decoder(nn.Module):
    def __init__(self, network: JointNetwork, size: tuple[int, int]) -> None:
        super().__init__()
        self.decoder, self.size = network.decoder, size

    def forward(self, latent: Tensor) -> Tensor:
        logits: Tensor = self.decoder(latent, self.size)
        return logits


def full_size_costs(
    network: JointNetwork,
    cell: Cell,
    graphs: Graphs,
    weights: Path,
    parts: Parts,
    cameras: Target,
) -> Costs:
    """Of a camera that makes the mask, or of one that sends features, and of its cloud."""
    picture = torch.zeros(1, 3, *parts.size)
    if cell.design is Design.EDGE:
        whole = Part(WholeNetwork(network, parts.size), [picture])
        return costs_of(whole, None, graphs, weights, parts, cameras)
    cloud = Part(_Decoder(network, parts.size), [network.encoder(picture).detach()])
    return costs_of(Part(network.encoder, [picture]), cloud, graphs, weights, parts, cameras)
