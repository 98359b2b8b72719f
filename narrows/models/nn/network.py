"""The whole of it, as it is trained: encoder, gains, rate model and joint decoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from narrows.models.nn.decoder import JointDecoder
from narrows.models.nn.encoder import Encoder
from narrows.models.nn.rate import Gains, RateModel, add_noise, round_straight_through


@dataclass(frozen=True)
class NetworkShape:
    """What fixes the tensors of a network.

    Attributes:
        expanded: hidden channels of each of the trunk's blocks that expands, where it was pruned.
    """

    classes: int
    latent_channels: int = 48
    levels: int = 5
    expanded: tuple[int, ...] | None = None


class NetworkOutput(NamedTuple):
    """What one training pass yields, with gradients.

    Logits ``(N, classes, H, W)``, bits ``(N,)`` and what the bottleneck read ``(N, C, h, w)``.
    """

    logits: Tensor
    bits: Tensor
    features: Tensor


class JointNetwork(nn.Module):
    """Encoder and joint decoder around a quantised bottleneck with several rate levels."""

    def __init__(self, shape: NetworkShape) -> None:
        super().__init__()
        self.shape = shape
        self.encoder = Encoder(shape.latent_channels, shape.expanded)
        self.gains = Gains(shape.levels, shape.latent_channels)
        self.rate = RateModel(shape.levels, shape.latent_channels)
        self.decoder = JointDecoder(shape.latent_channels, shape.classes)

    def forward(self, pictures: Tensor, level: Tensor, *, rounded_rate: bool = False) -> NetworkOutput:
        """Normalised pictures ``(N, 3, H, W)`` and level indices ``(N,)`` to logits and bits.

        ``rounded_rate`` counts the bits of rounded symbols instead of noisy ones: for the last part of a
        training, when the tables will be counted on rounded symbols too.
        """
        features = self.encoder.features(pictures)
        latent = self.encoder.bottleneck(features)
        with torch.autocast(pictures.device.type, enabled=False):
            gain = self.gains(level)
            scaled = latent.float() * gain
            symbols = round_straight_through(scaled)
            bits = self.rate(symbols if rounded_rate else add_noise(scaled), level).sum(dim=(1, 2, 3))
            dequantised = symbols / gain
        logits = self.decoder(dequantised, (pictures.shape[-2], pictures.shape[-1]))
        return NetworkOutput(logits, bits, features)
