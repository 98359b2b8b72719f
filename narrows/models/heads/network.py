"""A head that looks at each position of the decoder's trunk by itself: the context is in the trunk already.

::

    latent @ 1/16 ─► 1x1 ─┐
    context @ 1/16 ─► 1x1 ─┼─► each risen to 1/4 ─► + ─► ReLU ─► 1x1 ─► logits @ 1/4 ─► bilinear ─► argmax
    rise8 @ 1/8 ─► 1x1 ────┤
    rise4 @ 1/4 ─► 1x1 ────┘

A 1x1 convolution and bilinear interpolation may change places: so a head is trained on single positions, whose
features rose once, and runs on whole grids, where the narrow result is what rises. A probe of a frozen network (Alain
and Bengio, "Understanding intermediate layers using linear classifier probes", 2016) with one hidden layer.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from narrows.models.heads.trunk import TrunkTensor

WIDTH = 64
FINEST_STRIDE = 4


class PointHead(nn.Module):
    """Trunk tensors ``(n, C_i, h_i, w_i)`` to logits ``(n, classes, height, width)``."""

    def __init__(self, channels: Sequence[int], classes: int, width: int = WIDTH) -> None:
        super().__init__()
        self.channels = tuple(channels)
        self.read = nn.Linear(sum(channels), width)
        self.classify = nn.Linear(width, classes)
        self.register_buffer("mean", torch.zeros(sum(channels)))
        self.register_buffer("deviation", torch.ones(sum(channels)))

    def points(self, features: Tensor) -> Tensor:
        """Features of positions ``(n, sum of channels)`` to logits ``(n, classes)``."""
        standard = (features - self.get_buffer("mean")) / self.get_buffer("deviation")
        logits: Tensor = self.classify(functional.relu(self.read(standard)))
        return logits


class HeadGraph(nn.Module):
    """A trained head as it is shipped: trunk tensors in, labels ``(n, height, width)`` uint8 out."""

    def __init__(self, head: PointHead, tensors: Sequence[TrunkTensor], size: tuple[int, int]) -> None:
        super().__init__()
        self.size, self.grid = size, cut_grid(size)
        self.full = grid_of(tensors)
        weight = head.read.weight.detach() / head.get_buffer("deviation")
        bias = head.read.bias.detach() - weight @ head.get_buffer("mean")
        self.read = nn.ModuleList()
        for index, part in enumerate(torch.split(weight, list(head.channels), dim=1)):
            convolution = nn.Conv2d(part.shape[1], part.shape[0], 1, bias=index == 0)
            convolution.weight.data = part[:, :, None, None].contiguous()
            if convolution.bias is not None:
                convolution.bias.data = bias
            self.read.append(convolution)
        self.classify = nn.Conv2d(head.classify.in_features, head.classify.out_features, 1)
        self.classify.weight.data = head.classify.weight.detach()[:, :, None, None]
        self.classify.bias.data = head.classify.bias.detach()  # type: ignore[union-attr]  # it has one

    def forward(self, *tensors: Tensor) -> Tensor:
        """See the class."""
        narrow = [read(tensor) for read, tensor in zip(self.read, tensors, strict=True)]
        risen = narrow[-1][:, :, : self.grid[0], : self.grid[1]]
        for each in narrow[:-1]:
            risen = risen + rise(each, self.full, self.grid)
        logits = self.classify(functional.relu(risen))
        whole = functional.interpolate(logits, size=self.size, mode="bilinear", align_corners=False)
        return whole.argmax(dim=1).to(torch.uint8)


def cut_grid(size: tuple[int, ...]) -> tuple[int, int]:
    """Height and width of the finest grid where it covers a picture of ``size`` and no more."""
    return -(-size[0] // FINEST_STRIDE), -(-size[1] // FINEST_STRIDE)


def rise(x: Tensor, full: tuple[int, int], grid: tuple[int, int]) -> Tensor:
    """A coarser tensor on the finest grid, which a decoder cuts to the picture's size."""
    risen = functional.interpolate(x, size=full, mode="bilinear", align_corners=False)
    return risen[:, :, : grid[0], : grid[1]]


def grid_of(tensors: Sequence[TrunkTensor]) -> tuple[int, int]:
    """The finest grid before it is cut: twice the grid of the stage before."""
    before = tensors[-2]
    return 2 * before.height, 2 * before.width
