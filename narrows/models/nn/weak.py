"""What fits a weak camera: a trunk, a small mask head and a bottleneck, from 0.05 to 0.85 GMAC at 480x360.

::

    picture ─► 4x4, stride 4 ─► separable ─► 32 @ 1/4 ─► 64 @ 1/8 ─► 96 @ 1/16 ─┬─► 1x1 ─► latent @ 1/16 (or 1/32)
                                                            │                   │
                                                            └───────┬───────────┘
                                                                    └─► head ─► logits @ 1/4

A convolution of 4x4 at stride 4 is space-to-depth and a 1x1 in one, and any runtime runs it fast: 48 numbers at 1/4,
which is all the memory that the picture takes, where a 3x3 at stride 2 would make 32 planes of a quarter of it. At 1/4
nothing is expanded and nothing added back, so that two planes of 32 are the most that lives. Blocks are those of
MobileNetV2 (Sandler et al., CVPR 2018); the head's gate is that of LR-ASPP (Howard et al., ICCV 2019).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from narrows.models.nn.efficientnet_lite import InvertedResidual, Stage, conv_bn
from narrows.models.nn.encoder import SpaceToDepth
from narrows.models.nn.promptable import Separable
from narrows.models.nn.small_decoder import SmallRise

STEM_STRIDE = 4
_NARROWEST = 8
_GRAIN = 4


@dataclass(frozen=True)
class WeakShape:
    """What fixes the camera's tensors.

    Attributes:
        widths: channels at 1/4, 1/8 and 1/16.
        depths: blocks at 1/4, 1/8 and 1/16, beside those that halve the grid.
        kernels: of the depthwise filters there.
        expansions: of the blocks at 1/8 and 1/16.
        stem_kernel: 4 to see each pixel once, 8 to overlap.
        latent_channels: of the bottleneck.
        latent_stride: 16 or 32.
        head: channels of the mask head at 1/8.
    """

    widths: tuple[int, int, int] = (32, 64, 96)
    depths: tuple[int, int, int] = (1, 1, 2)
    kernels: tuple[int, int, int] = (3, 5, 5)
    expansions: tuple[int, int] = (2, 3)
    stem_kernel: int = STEM_STRIDE
    latent_channels: int = 48
    latent_stride: int = 16
    head: int = 40

    def scaled(self, width: float) -> WeakShape:
        """As wide by this factor; the latent stays, as it is what travels."""
        first, second, third = (max(_NARROWEST, _GRAIN * round(each * width / _GRAIN)) for each in self.widths)
        return replace(
            self, widths=(first, second, third), head=max(_NARROWEST, _GRAIN * round(self.head * width / _GRAIN))
        )


class WeakTrunk(nn.Module):
    """Normalised pictures ``(N, 3, H, W)`` to features at 1/8 and 1/16; sizes round up."""

    def __init__(self, shape: WeakShape) -> None:
        super().__init__()
        self.margin = (shape.stem_kernel - STEM_STRIDE) // 2
        at4, at8, at16 = shape.widths
        stem = nn.Conv2d(3, at4, shape.stem_kernel, STEM_STRIDE, bias=False)
        stay = (Separable(at4, at4, shape.kernels[0]) for _ in range(shape.depths[0]))
        self.at4 = nn.Sequential(stem, nn.BatchNorm2d(at4, eps=1e-3), nn.ReLU6(), *stay)
        self.at8 = _blocks(at4, 1, Stage(shape.kernels[1], 2, 1, shape.expansions[0], at8, shape.depths[1]))
        self.at16 = _blocks(
            at8, shape.expansions[0], Stage(shape.kernels[2], 2, 1, shape.expansions[1], at16, shape.depths[2])
        )

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        height, width = pictures.shape[-2:]
        low = self.margin
        padded = functional.pad(pictures, (low, low + -width % STEM_STRIDE, low, low + -height % STEM_STRIDE))
        at8 = self.at8(self.at4(padded))
        return at8, self.at16(at8)


class MaskHead(nn.Module):
    """Features at 1/8 and 1/16 to class logits at 1/4, ``(N, classes, ceil(H/4), ceil(W/4))``."""

    def __init__(self, shape: WeakShape, classes: int) -> None:
        super().__init__()
        _, at8, at16 = shape.widths
        self.high = nn.Sequential(*conv_bn(at16, shape.head), nn.ReLU6())
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(at16, shape.head, 1), nn.Hardsigmoid())
        self.low = nn.Sequential(*conv_bn(at8, shape.head), nn.ReLU6())
        self.rise = SmallRise(shape.head, max(_NARROWEST, shape.head // 3))
        self.classify = nn.Conv2d(max(_NARROWEST, shape.head // 3), classes, 1)

    def forward(self, at8: Tensor, at16: Tensor, grid: tuple[int, int]) -> Tensor:
        """``grid`` is (height, width) of the logits."""
        gated = self.high(at16) * self.gate(at16)
        risen = functional.interpolate(gated, size=at8.shape[-2:], mode="nearest")
        logits: Tensor = self.classify(self.rise(risen + self.low(at8)))
        return logits[:, :, : grid[0], : grid[1]]


class Bottleneck(nn.Module):
    """Features at 1/16 to the latent ``(N, C, h, w)`` at 1/16 or 1/32, before any gain."""

    def __init__(self, shape: WeakShape) -> None:
        super().__init__()
        factor = shape.latent_stride // 16
        self.fold = SpaceToDepth(factor) if factor > 1 else nn.Identity()
        self.narrow = nn.Conv2d(shape.widths[2] * factor**2, shape.latent_channels, 1)

    def forward(self, at16: Tensor) -> Tensor:
        latent: Tensor = self.narrow(self.fold(at16))
        return latent


def grid_at4(size: tuple[int, int]) -> tuple[int, int]:
    """(height, width) of the masks that cameras make, for pictures of ``size``."""
    return -(-size[0] // STEM_STRIDE), -(-size[1] // STEM_STRIDE)


def one_hot_labels(logits: Tensor) -> Tensor:
    """What is sent of logits ``(N, classes, h, w)``: 1 for the largest of each place, without a gradient."""
    best = logits.detach().argmax(dim=1)
    return functional.one_hot(best, logits.shape[1]).permute(0, 3, 1, 2).to(torch.float32)


def dominant_labels(labels: Tensor, factor: int) -> Tensor:
    """One-hot labels ``(N, classes, h, w)`` of each block of ``factor``: the most frequent, the lowest of equals.

    As :func:`narrows.contract.outputs.labels.scaling.divide_labels` has it.
    """
    height, width = labels.shape[-2:]
    padded = functional.pad(labels, (0, -width % factor, 0, -height % factor), mode="replicate")
    return one_hot_labels(functional.avg_pool2d(padded, factor))


def _blocks(inputs: int, expansion: int, stage: Stage) -> nn.Sequential:
    """The first halves the grid, with an expansion of its own: what it expands is four times as large."""
    first = InvertedResidual(inputs, replace(stage, expansion=expansion), stage.stride)
    return nn.Sequential(first, *(InvertedResidual(stage.channels, stage, 1) for _ in range(stage.blocks)))
