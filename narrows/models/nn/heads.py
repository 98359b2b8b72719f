"""The task heads that read picture features: what a joint decoder does without.

::

    DeepLabv3   320 @ 1/16 ─► {1x1, 3x3 at three dilations, whole picture} 256 each ─► 1x1 ─► 3x3 ─► logits @ 1/16

    DeepLabv3+  320 @ 1/16 ─► the same ─► x2 ─┐
                 40 @ 1/8  ─► 1x1, 48 ────────┴─► separable 3x3, 256, twice ─► logits @ 1/8

    LR-ASPP     320 @ 1/16 ─► 1x1, W ─► · gate(whole picture) ─► x2 ─► 1x1 ─┐
                 40 @ 1/8  ─────────────────────────────────────────► 1x1 ─┴─► + ─► logits @ 1/8

All end in a bilinear resize of the logits to the picture's size, and DeepLab's convolutions are trained as several, as
the joint decoder's are. Sources: Chen et al., "Rethinking Atrous Convolution for Semantic Image Segmentation", 2017,
with the layers and widths that torchvision gives its head; Chen et al., "Encoder-Decoder with Atrous Separable
Convolution", ECCV 2018; Howard et al., "Searching for MobileNetV3", ICCV 2019, section 6.4.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from narrows.models.nn.efficientnet_lite import conv_bn
from narrows.models.nn.reparametrised import Reparametrised, separable

AT8_CHANNELS, AT16_CHANNELS = 40, 320
ASPP_WIDTH, SKIP_WIDTH = 256, 48
DILATIONS = (6, 12, 18)
"""On a grid of 23 x 30 torchvision's 12, 24, 36 would leave most taps of the widest filter in the padding."""


class WholePicture(nn.Module):
    """The mean over all positions through a 1x1 convolution, spread over the grid again."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(inputs, outputs, 1), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        mean: Tensor = self.body(x)
        return mean.expand(-1, -1, x.shape[-2], x.shape[-1])


class ASPP(nn.Module):
    """Features ``(N, C, h, w)`` and what stands around each position, at several radii; ``(N, 256, h, w)``."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.near = nn.Sequential(Reparametrised(channels, ASPP_WIDTH), nn.ReLU())
        self.far = nn.ModuleList(
            nn.Sequential(Reparametrised(channels, ASPP_WIDTH, 3, dilation=dilation), nn.ReLU())
            for dilation in DILATIONS
        )
        self.whole = WholePicture(channels, ASPP_WIDTH)
        self.merge = nn.Sequential(Reparametrised(5 * ASPP_WIDTH, ASPP_WIDTH), nn.ReLU(), nn.Dropout(0.1))

    def forward(self, x: Tensor) -> Tensor:
        branches = [self.near(x), *(far(x) for far in self.far), self.whole(x)]
        merged: Tensor = self.merge(torch.cat(branches, dim=1))
        return merged


class DeepLabV3Head(nn.Module):
    """Features ``(N, C, h, w)`` at stride 16 to logits ``(N, classes, height, width)``."""

    strides = (16,)

    def __init__(self, classes: int, channels: int = AT16_CHANNELS) -> None:
        super().__init__()
        self.around = ASPP(channels)
        self.last = nn.Sequential(
            Reparametrised(ASPP_WIDTH, ASPP_WIDTH, 3), nn.ReLU(), nn.Conv2d(ASPP_WIDTH, classes, 1)
        )

    def forward(self, features: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
        (at16,) = features
        logits = self.last(self.around(at16))
        return functional.interpolate(logits, size=size, mode="bilinear", align_corners=False)


class DeepLabV3PlusHead(nn.Module):
    """Features at strides 8 and 16 to logits ``(N, classes, height, width)``."""

    strides = (8, 16)

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.around = ASPP(AT16_CHANNELS)
        self.skip = nn.Sequential(Reparametrised(AT8_CHANNELS, SKIP_WIDTH), nn.ReLU())
        self.refine = nn.Sequential(separable(ASPP_WIDTH + SKIP_WIDTH, ASPP_WIDTH), separable(ASPP_WIDTH, ASPP_WIDTH))
        self.classify = nn.Conv2d(ASPP_WIDTH, classes, 1)

    def forward(self, features: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
        at8, at16 = features
        risen = functional.interpolate(self.around(at16), size=at8.shape[-2:], mode="bilinear", align_corners=False)
        logits = self.classify(self.refine(torch.cat([risen, self.skip(at8)], dim=1)))
        return functional.interpolate(logits, size=size, mode="bilinear", align_corners=False)


class LRASPPHead(nn.Module):
    """Features at strides 8 and 16 to logits ``(N, classes, height, width)``; ``width`` sets its cost."""

    strides = (8, 16)

    def __init__(self, classes: int, width: int) -> None:
        super().__init__()
        self.high = nn.Sequential(*conv_bn(AT16_CHANNELS, width), nn.ReLU())
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(AT16_CHANNELS, width, 1, bias=False), nn.Sigmoid())
        self.low_logits = nn.Conv2d(AT8_CHANNELS, classes, 1)
        self.high_logits = nn.Conv2d(width, classes, 1)

    def forward(self, features: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
        at8, at16 = features
        gated = self.high(at16) * self.gate(at16)
        risen = functional.interpolate(gated, size=at8.shape[-2:], mode="bilinear", align_corners=False)
        logits = self.high_logits(risen) + self.low_logits(at8)
        return functional.interpolate(logits, size=size, mode="bilinear", align_corners=False)
