"""Convolutions that are several while they are trained, and one when they are shipped.

::

    training                                    export
    x ─┬─► k x k ─► batch norm ─┐
       ├─► k x k ─► batch norm ─┤
       ├─► 1 x 1 ─► batch norm ─┼─► sum          x ─► k x k with bias ─► the same sum
       └─► batch norm (if x may ┘
           be added as it is)

Each branch is linear once its batch norm stands still, so their sum is one convolution (Ding et al., "RepVGG", CVPR
2021; Vasu et al., "MobileOne", CVPR 2023). More paths make training easier and cost nothing afterwards.
"""

from __future__ import annotations

from functools import reduce

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from narrows.models.nn.efficientnet_lite import conv_bn


class Reparametrised(nn.Module):
    """``(N, inputs, H, W)`` to ``(N, outputs, H, W)``, stride 1, the grid kept."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 1, *, dilation: int = 1, groups: int = 1, copies: int = 2
    ) -> None:
        super().__init__()
        self.shape = (inputs, outputs, kernel, dilation, groups)
        self.wide = nn.ModuleList(
            nn.Sequential(*conv_bn(inputs, outputs, kernel, dilation=dilation, groups=groups)) for _ in range(copies)
        )
        self.narrow = nn.Sequential(*conv_bn(inputs, outputs, groups=groups)) if kernel > 1 else None
        self.through = nn.BatchNorm2d(inputs, eps=1e-3) if inputs == outputs else None

    def forward(self, x: Tensor) -> Tensor:
        branches = [*self.wide, *(branch for branch in (self.narrow, self.through) if branch is not None)]
        outcomes: list[Tensor] = [branch(x) for branch in branches]
        return reduce(torch.add, outcomes)

    @torch.no_grad()
    def fold(self) -> nn.Conv2d:
        """The one convolution that this is in evaluation mode; exact up to float rounding."""
        inputs, outputs, kernel, dilation, groups = self.shape
        folded = nn.Conv2d(
            inputs, outputs, kernel, padding=dilation * (kernel - 1) // 2, dilation=dilation, groups=groups
        )
        parts = [_fused(branch) for branch in self.wide]
        if self.narrow is not None:
            parts.append(_fused(self.narrow))
        if self.through is not None:
            parts.append(_fuse(_identity(inputs, groups), self.through))
        folded.weight.copy_(torch.stack([_centred(weight, kernel) for weight, _ in parts]).sum(dim=0))
        folded.bias.copy_(torch.stack([bias for _, bias in parts]).sum(dim=0))  # type: ignore[union-attr]  # has one
        return folded


def separable(inputs: int, outputs: int, dilation: int = 1) -> nn.Sequential:
    """Depthwise 3x3, then 1x1, each with its ReLU."""
    return nn.Sequential(
        Reparametrised(inputs, inputs, 3, dilation=dilation, groups=inputs),
        nn.ReLU(),
        Reparametrised(inputs, outputs),
        nn.ReLU(),
    )


def _fused(branch: nn.Module) -> tuple[Tensor, Tensor]:
    convolution, norm = branch.children()
    return _fuse(convolution.weight, norm)  # type: ignore[arg-type]  # conv_bn made both


def _fuse(weight: Tensor, norm: nn.Module) -> tuple[Tensor, Tensor]:
    fused = fuse_conv_bn_weights(weight, None, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias)  # type: ignore[arg-type]  # a batch norm's
    return fused[0], fused[1]


def _identity(channels: int, groups: int) -> Tensor:
    """The 1 x 1 weights of ``groups`` that pass ``channels`` through."""
    width = channels // groups
    return torch.eye(width).repeat(groups, 1)[:, :, None, None]


def _centred(weight: Tensor, kernel: int) -> Tensor:
    margin = (kernel - weight.shape[-1]) // 2
    return nn.functional.pad(weight, (margin, margin, margin, margin))
