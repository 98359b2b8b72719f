"""The joint decoder at a hundredth of separate decoding's parameters.

::

    y_hat (C @ 1/16) ─► 1x1, 64 ─► mix, reach 2 ─► mix, reach 4 ─► mix, reach 8 ─► · gate(whole picture)
                     ─► rise to 20 @ 1/8 ─► rise to 16 @ 1/4 ─► logits @ 1/4 ─► bilinear to H x W

    mix:  x ─┬─► depthwise 5x5 ─► depthwise 3x3, dilated ─► 1x1 ─► + ─►
             └────────────────────────────────────────────────────┘

The idea of joint decoding is Nazir et al.'s (ECCV 2024); that some thousands of parameters may do is said by its
follow-up (arXiv 2510.16747), which spends them on attention. Here dilated depthwise filters reach as far
(Yu and Koltun, "Multi-Scale Context Aggregation by Dilated Convolutions", ICLR 2016) and one gate sees all.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from narrows.models.nn.efficientnet_lite import conv_bn

WIDTH = 64
REACHES = (2, 4, 8)
AT8, AT4 = 20, 16


class Mix(nn.Module):
    """Neighbours near and far, then channels, added to the input; shape kept."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *conv_bn(channels, channels, 5, groups=channels),
            *conv_bn(channels, channels, 3, dilation=dilation, groups=channels),
            nn.ReLU(),
            *conv_bn(channels, channels),
            nn.ReLU(),
        )

    def forward(self, x: Tensor) -> Tensor:
        mixed: Tensor = self.body(x)
        return x + mixed


class SmallRise(nn.Module):
    """Twice the grid: 1x1, pixel shuffle, depthwise 3x3 and 1x1 added."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.spread = nn.Sequential(*conv_bn(inputs, 4 * outputs), nn.ReLU(), nn.PixelShuffle(2))
        self.refine = nn.Sequential(
            *conv_bn(outputs, outputs, 3, groups=outputs), nn.ReLU(), *conv_bn(outputs, outputs), nn.ReLU()
        )

    def forward(self, x: Tensor) -> Tensor:
        spread: Tensor = self.spread(x)
        refined: Tensor = self.refine(spread)
        return spread + refined


class SmallJointDecoder(nn.Module):
    """The dequantised latent ``(N, C, h, w)`` to class logits ``(N, classes, height, width)``."""

    def __init__(self, latent_channels: int, classes: int) -> None:
        super().__init__()
        self.enter = nn.Sequential(*conv_bn(latent_channels, WIDTH), nn.ReLU())
        self.mixes = nn.Sequential(*(Mix(WIDTH, reach) for reach in REACHES))
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(WIDTH, WIDTH, 1), nn.Hardsigmoid())
        self.rise8 = SmallRise(WIDTH, AT8)
        self.rise4 = SmallRise(AT8, AT4)
        self.classify = nn.Conv2d(AT4, classes, 1)

    def forward(self, latent: Tensor, size: tuple[int, int]) -> Tensor:
        x: Tensor = self.mixes(self.enter(latent))
        at4: Tensor = self.rise4(self.rise8(x * self.gate(x)))
        height4, width4 = -(-size[0] // 4), -(-size[1] // 4)
        logits = self.classify(at4[:, :, :height4, :width4])
        return functional.interpolate(logits, size=size, mode="bilinear", align_corners=False)
