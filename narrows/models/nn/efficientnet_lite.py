"""EfficientNet-Lite0 as a trunk for dense prediction: features at strides 4, 8 and 16.

Source: Tan and Le, "EfficientNet", ICML 2019, in the *Lite* variant that Google published for integer
hardware: ReLU6 for swish, no squeeze-and-excite, fixed stem. The classifier head is left out, and the last
stride is exchanged for dilation, as DeepLab does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx
from torch.nn import functional, grad

from narrows.contract.errors import WeightsMismatch
from narrows.models.nn.stored import read_stored


@dataclass(frozen=True)
class Stage:
    """One stage of inverted residual blocks."""

    kernel: int
    stride: int
    dilation: int
    expansion: int
    channels: int
    blocks: int


STEM_CHANNELS = 32
STAGES = (
    Stage(kernel=3, stride=1, dilation=1, expansion=1, channels=16, blocks=1),
    Stage(kernel=3, stride=2, dilation=1, expansion=6, channels=24, blocks=2),
    Stage(kernel=5, stride=2, dilation=1, expansion=6, channels=40, blocks=2),
    Stage(kernel=3, stride=2, dilation=1, expansion=6, channels=80, blocks=3),
    Stage(kernel=5, stride=1, dilation=1, expansion=6, channels=112, blocks=3),
    Stage(kernel=5, stride=1, dilation=2, expansion=6, channels=192, blocks=4),
    Stage(kernel=3, stride=1, dilation=2, expansion=6, channels=320, blocks=1),
)
STRIDE_4_STAGE, STRIDE_8_STAGE = 1, 2


class Depthwise(nn.Conv2d):
    """A depthwise convolution with gradients that are fast on CPUs.

    It leaves autocast, for its bfloat16 gradient is 5 times slower than float32's. oneDNN has no fast path for the
    gradient of a dilated one's input either, though that is itself a convolution, with the kernel turned by 180
    degrees: 3 ms beside 33 ms at 1152 channels and 5 x 5. One of 1 x 1 is a factor a channel.
    """

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            x = x.to(self.weight.dtype)
            if self.kernel_size == (1, 1) and self.stride == (1, 1) and self.bias is None:
                return x * self.weight.view(1, -1, 1, 1)
            if not (torch.is_grad_enabled() and x.device.type == "cpu" and self.stride == (1, 1) and self.bias is None):
                return super().forward(x)
            outcome: Tensor = _SameSize.apply(x, self.weight, self.dilation[0])  # type: ignore[no-untyped-call]
            return outcome


class _SameSize(torch.autograd.Function):
    """A depthwise convolution of stride 1 that keeps the grid."""

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, weight: Tensor, dilation: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.dilation = dilation  # type: ignore[attr-defined]
        return _same_size(x, weight, dilation)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None]:  # noqa: ANN401 -- torch's
        x, weight = ctx.saved_tensors
        (gradient,) = gradients
        dilation = ctx.dilation
        of_input = _same_size(gradient, weight.flip(2, 3), dilation) if ctx.needs_input_grad[0] else None
        of_weight = None
        if ctx.needs_input_grad[1]:
            of_weight = grad.conv2d_weight(  # type: ignore[no-untyped-call]
                x, weight.shape, gradient, 1, _margin(weight, dilation), dilation, len(weight)
            )
        return of_input, of_weight, None


def _same_size(x: Tensor, weight: Tensor, dilation: int) -> Tensor:
    return functional.conv2d(x, weight, None, 1, _margin(weight, dilation), dilation, len(weight))


def _margin(weight: Tensor, dilation: int) -> int:
    return dilation * (weight.shape[-1] - 1) // 2


def conv_bn(
    inputs: int, outputs: int, kernel: int = 1, *, stride: int = 1, dilation: int = 1, groups: int = 1
) -> list[nn.Module]:
    """A convolution without bias, padded to keep the grid aligned at ``x = stride * i``, and its batch norm.

    The momentum is PyTorch's 0.1: the original's 0.01 lets running statistics lag behind a short training.
    """
    padding = dilation * (kernel - 1) // 2
    kind = Depthwise if groups == inputs == outputs else nn.Conv2d
    return [
        kind(inputs, outputs, kernel, stride, padding, dilation, groups, bias=False),
        nn.BatchNorm2d(outputs, eps=1e-3),
    ]


class InvertedResidual(nn.Module):
    """Expand 1x1, filter depthwise, project 1x1; added to the input where the shapes allow."""

    def __init__(self, inputs: int, stage: Stage, stride: int, hidden: int | None = None) -> None:
        super().__init__()
        hidden = inputs * stage.expansion if hidden is None else hidden
        expand = [*conv_bn(inputs, hidden), nn.ReLU6()] if stage.expansion != 1 else []
        self.body = nn.Sequential(
            *expand,
            *conv_bn(hidden, hidden, stage.kernel, stride=stride, dilation=stage.dilation, groups=hidden),
            nn.ReLU6(),
            *conv_bn(hidden, stage.channels),
        )
        self.residual = stride == 1 and inputs == stage.channels

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.body(x)
        return x + y if self.residual else y


class EfficientNetLite0(nn.Module):
    """``(N, 3, H, W)`` float pictures to 24 channels at stride 4, 40 at stride 8 and 320 at stride 16.

    Odd sizes round up. Pictures are normalised with mean 127 and deviation 128, as the weights expect.
    """

    def __init__(self, expanded: Sequence[int] | None = None) -> None:
        """``expanded`` are the hidden channels of each block that expands, where they are not as published."""
        super().__init__()
        hidden = None if expanded is None else iter(expanded)
        self.stem = nn.Sequential(*conv_bn(3, STEM_CHANNELS, 3, stride=2), nn.ReLU6())
        stages, inputs = [], STEM_CHANNELS
        for stage in STAGES:
            strides = [stage.stride] + [1] * (stage.blocks - 1)
            blocks = []
            for stride in strides:
                inner = next(hidden) if hidden is not None and stage.expansion != 1 else None
                blocks.append(InvertedResidual(inputs, stage, stride, inner))
                inputs = stage.channels
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.ModuleList(stages)

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = self.stem(pictures)
        taps = {}
        for index, stage in enumerate(self.stages):
            x = stage(x)
            taps[index] = x
        return taps[STRIDE_4_STAGE], taps[STRIDE_8_STAGE], x

    def load_imagenet(self, path: Path) -> None:
        """Load the published ImageNet weights: the same tensors in the same order under other names.

        Raises:
            WeightsMismatch: the file's tensors do not have this trunk's shapes.
        """
        own = self.state_dict()
        tensors = read_stored(path, "file of EfficientNet-Lite0's published weights").tensors()[: len(own)]
        if [t.shape for t in tensors] != [t.shape for t in own.values()]:
            raise WeightsMismatch(f"{path} does not hold EfficientNet-Lite0 weights: its tensors have other shapes")
        self.load_state_dict(dict(zip(own, tensors, strict=True)))
