"""ResNet-50 as a trunk, as the field's papers have it: **for cost ratios only, never trained here**.

::

    picture ─► 7x7 /2 ─► max /2 ─► 3, 4, 6 bottlenecks (/1, /2, /2) ─► 3 dilated ones ─► 2048 @ 1/16
            ─► 1x1 ─► latent y (C @ 1/16)

Source: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, with the last stride exchanged for
dilation (DeepLab) and the stride on the 3x3 (torchvision).
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from narrows.models.nn.efficientnet_lite import conv_bn

AT16_CHANNELS = 2048
STAGES = ((64, 3, 1, 1), (128, 4, 2, 1), (256, 6, 2, 1), (512, 3, 1, 2))
"""Width, blocks, stride and dilation of each stage."""


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 to four times the width, added to the input."""

    def __init__(self, inputs: int, width: int, stride: int, dilation: int) -> None:
        super().__init__()
        outputs = 4 * width
        self.body = nn.Sequential(
            *conv_bn(inputs, width),
            nn.ReLU(),
            *conv_bn(width, width, 3, stride=stride, dilation=dilation),
            nn.ReLU(),
            *conv_bn(width, outputs),
        )
        same = stride == 1 and inputs == outputs
        self.shortcut = nn.Identity() if same else nn.Sequential(*conv_bn(inputs, outputs, stride=stride))

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.body(x) + self.shortcut(x))


class ResNet50Encoder(nn.Module):
    """Normalised pictures ``(N, 3, H, W)`` to the latent ``(N, C, ceil(H/16), ceil(W/16))``."""

    def __init__(self, latent_channels: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)
        )
        blocks: list[nn.Module] = []
        inputs = 64
        for width, count, stride, dilation in STAGES:
            for index in range(count):
                blocks.append(Bottleneck(inputs, width, stride if index == 0 else 1, dilation))
                inputs = 4 * width
        self.blocks = nn.Sequential(*blocks)
        self.bottleneck = nn.Conv2d(AT16_CHANNELS, latent_channels, 1)

    def forward(self, pictures: Tensor) -> Tensor:
        latent: Tensor = self.bottleneck(self.blocks(self.stem(pictures)))
        return latent
