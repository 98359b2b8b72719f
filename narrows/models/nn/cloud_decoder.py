"""A decoder that a strong cloud can afford: what a weak camera sent to a mask, most of the work at 1/32.

::

    latent ────────────► 1x1 ──┐
    labels @ 1/4 ─► 4x4, 1x1 ──┴─► W @ 1/16 ─► space-to-depth ─► 2W @ 1/32 ─► blocks ─► · whole picture ─► W @ 1/16
                                   └───────────────────────── + ─────────────────────────────────────────────┘
                  ─► rise ─► 1/8 ─► rise ─► 1/4 ─► logits @ 1/4, to which the labels that were sent add their vote

Latent, labels or both: features, a mask made at the camera that is refined here, or a mask with features beside it. The
last layer begins at zero, so with labels the decoder begins as the camera's own mask, and training only adds to it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from narrows.models.nn.decoder import Rise
from narrows.models.nn.efficientnet_lite import InvertedResidual, Stage, conv_bn
from narrows.models.nn.encoder import SpaceToDepth

LABEL_STRIDE, LATENT_STRIDE = 4, 16
_VOTE = 4.0
"""Of a label that was sent, in logits, before training."""


@dataclass(frozen=True)
class CloudShape:
    """How large the decoder is: channels at 1/16, blocks at 1/32, channels at 1/8 and 1/4."""

    width: int = 96
    blocks: int = 2
    at8: int = 64
    at4: int = 48


class CloudDecoder(nn.Module):
    """What was sent to class logits ``(N, classes, ceil(H/4), ceil(W/4))``."""

    def __init__(self, shape: CloudShape, classes: int, latent_channels: int, *, labels: bool) -> None:
        super().__init__()
        width = shape.width
        self.latent = nn.Sequential(*conv_bn(latent_channels, width)) if latent_channels else None
        ratio = LATENT_STRIDE // LABEL_STRIDE
        self.labels = nn.Sequential(SpaceToDepth(ratio), *conv_bn(classes * ratio**2, width)) if labels else None
        self.vote = nn.Parameter(torch.tensor(_VOTE)) if labels else None
        self.down = nn.Sequential(SpaceToDepth(2), *conv_bn(4 * width, 2 * width), nn.ReLU6())
        stage = Stage(kernel=5, stride=1, dilation=1, expansion=4, channels=2 * width, blocks=shape.blocks)
        self.blocks = nn.Sequential(*(InvertedResidual(2 * width, stage, 1) for _ in range(shape.blocks)))
        self.whole = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(2 * width, 2 * width, 1), nn.Hardsigmoid())
        self.up = nn.Sequential(*conv_bn(2 * width, 4 * width), nn.PixelShuffle(2))
        self.rise8, self.rise4 = Rise(width, shape.at8), Rise(shape.at8, shape.at4)
        self.beside = nn.Conv2d(classes, shape.at4, 1) if labels else None
        self.classify = nn.Conv2d(shape.at4, classes, 1)
        if labels:
            nn.init.zeros_(self.classify.weight)
            nn.init.zeros_(self.classify.bias)  # type: ignore[arg-type]  # it has one

    def forward(self, latent: Tensor | None, labels: Tensor | None, grid: tuple[int, int]) -> Tensor:
        """``latent`` dequantised ``(N, C, h, w)``, ``labels`` one-hot at 1/4, ``grid`` (height, width) at 1/4."""
        height, width = (-(-side * LABEL_STRIDE // LATENT_STRIDE) for side in grid)
        entered: list[Tensor] = []
        if latent is not None and self.latent is not None:
            entered.append(_fitted(self.latent(latent), (height, width)))
        if labels is not None and self.labels is not None:
            entered.append(self.labels(labels))
        x = functional.relu6(torch.stack(entered).sum(dim=0) if len(entered) > 1 else entered[0])
        deep: Tensor = self.blocks(self.down(x))
        risen = self.up(deep * self.whole(deep))[:, :, :height, :width]
        at4 = self.rise4(self.rise8(x + risen))[:, :, : grid[0], : grid[1]]
        if labels is None or self.beside is None or self.vote is None:
            logits: Tensor = self.classify(at4)
            return logits
        changed: Tensor = self.classify(functional.relu(at4 + self.beside(labels)))
        return self.vote * labels + changed


def _fitted(latent: Tensor, size: tuple[int, int]) -> Tensor:
    """A latent at 1/32 spread over the grid at 1/16."""
    if latent.shape[-2:] == size:
        return latent
    spread = functional.interpolate(latent, scale_factor=2.0, mode="nearest")
    return spread[:, :, : size[0], : size[1]]
