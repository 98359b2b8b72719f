"""The camera's half: a picture becomes a few dozen channels at a sixteenth of its size.

::

    picture ──► EfficientNet-Lite0 ──► 320 @ 1/16 ───────────────┐
                    │                                            ├─ concat ─► 1x1 ─► latent y (C @ 1/16)
                    ├─► 24 @ 1/4 ─► space-to-depth 4, 1x1 ─► 48 ─┤
                    └─► 40 @ 1/8 ─► space-to-depth 2, 1x1 ─► 48 ─┘

The two side branches carry edges that the trunk has forgotten by stride 16; the rate term decides how much
of them is worth sending. Joint source-and-task coding after Nazir et al., "Joint End-to-End Image
Compression and Semantic Segmentation / JD", ECCV 2024.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from narrows.models.nn.efficientnet_lite import EfficientNetLite0, conv_bn

SIDE_CHANNELS = 48


class SpaceToDepth(nn.Module):
    """``(N, C, H, W)`` to ``(N, C·f², ceil(H/f), ceil(W/f))``, padded with zeros at the bottom and right."""

    def __init__(self, factor: int) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        padded = functional.pad(x, (0, -width % self.factor, 0, -height % self.factor))
        return functional.pixel_unshuffle(padded, self.factor)


class Encoder(nn.Module):
    """Normalised pictures ``(N, 3, H, W)`` to the latent ``(N, C, ceil(H/16), ceil(W/16))``, before any gain."""

    def __init__(self, latent_channels: int, expanded: Sequence[int] | None = None) -> None:
        super().__init__()
        self.trunk = EfficientNetLite0(expanded)
        self.side4 = nn.Sequential(SpaceToDepth(4), *conv_bn(24 * 16, SIDE_CHANNELS), nn.ReLU6())
        self.side8 = nn.Sequential(SpaceToDepth(2), *conv_bn(40 * 4, SIDE_CHANNELS), nn.ReLU6())
        self.bottleneck = nn.Conv2d(320 + 2 * SIDE_CHANNELS, latent_channels, 1)

    def features(self, pictures: Tensor) -> Tensor:
        """What the bottleneck reads: ``(N, 416, ceil(H/16), ceil(W/16))``, the trunk's 320 channels first."""
        at4, at8, at16 = self.trunk(pictures)
        return torch.cat([at16, self.side4(at4), self.side8(at8)], dim=1)

    def forward(self, pictures: Tensor) -> Tensor:
        latent: Tensor = self.bottleneck(self.features(pictures))
        return latent
