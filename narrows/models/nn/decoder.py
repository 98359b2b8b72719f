"""The cloud's half: the mask read straight from the quantised bottleneck.

::

    y_hat (C @ 1/16) ─► 1x1 ─► context: {1x1, dilated depthwise 3/6/12, global} ─► 1x1
                     ─► pixel-shuffle 2 ─► separable 3x3 @ 1/8
                     ─► pixel-shuffle 2 ─► separable 3x3 @ 1/4 ─► logits @ 1/4 ─► bilinear to H x W

No picture and no picture features are rebuilt on the way: that is the whole point of joint decoding (Nazir
et al., ECCV 2024). The context block follows ASPP (Chen et al., DeepLabv3, 2017) with depthwise branches; every
convolution is trained as several (:mod:`narrows.models.nn.reparametrised`) and shipped as one.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from narrows.models.nn.reparametrised import Reparametrised, separable

WIDTH = 128
BRANCH_SHARE = 0.75
"""Of the width: channels of each of the context's branches."""
DILATIONS = (3, 6, 12)
AT8, AT4 = 64, 48
UPSCALE = 2
"""Of each pixel shuffle."""


class Context(nn.Module):
    """What stands around each position, at several radii and over the whole picture; shape kept."""

    def __init__(self, channels: int, branch: int) -> None:
        super().__init__()
        self.near = nn.Sequential(Reparametrised(channels, branch), nn.ReLU())
        self.far = nn.ModuleList(separable(channels, branch, dilation) for dilation in DILATIONS)
        self.whole = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, channels, 1), nn.Hardsigmoid())
        self.merge = nn.Sequential(Reparametrised(branch * (1 + len(DILATIONS)), channels), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        branches = torch.cat([self.near(x), *(far(x) for far in self.far)], dim=1)
        merged: Tensor = self.merge(branches)
        weight: Tensor = self.whole(x)
        return x + merged * weight


class Rise(nn.Module):
    """Twice the grid: 1x1, pixel shuffle, separable 3x3. Position ``2i`` of the result lies on ``i`` of the input."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.spread = nn.Sequential(Reparametrised(inputs, UPSCALE**2 * outputs), nn.ReLU(), nn.PixelShuffle(UPSCALE))
        self.refine = separable(outputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        spread: Tensor = self.spread(x)
        refined: Tensor = self.refine(spread)
        return spread + refined


class JointDecoder(nn.Module):
    """The dequantised latent ``(N, C, h, w)`` to class logits ``(N, classes, height, width)``."""

    def __init__(self, latent_channels: int, classes: int, width: int = WIDTH) -> None:
        super().__init__()
        self.enter = nn.Sequential(Reparametrised(latent_channels, width), nn.ReLU())
        self.context = Context(width, round(BRANCH_SHARE * width))
        self.rise8 = Rise(width, AT8)
        self.rise4 = Rise(AT8, AT4)
        self.classify = nn.Conv2d(AT4, classes, 1)

    def forward(self, latent: Tensor, size: tuple[int, int]) -> Tensor:
        x = self.context(self.enter(latent))
        at4 = self.rise4(self.rise8(x))
        height4, width4 = -(-size[0] // 4), -(-size[1] // 4)
        logits = self.classify(at4[:, :, :height4, :width4])
        return functional.interpolate(logits, size=size, mode="bilinear", align_corners=False)
