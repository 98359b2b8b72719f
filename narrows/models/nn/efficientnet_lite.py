"""EfficientNet-Lite0 as a trunk for dense prediction: features at strides 4, 8 and 16.

Source: Tan and Le, "EfficientNet", ICML 2019, in the *Lite* variant that Google published for integer
hardware: ReLU6 for swish, no squeeze-and-excite, fixed stem. The classifier head is left out, and the last
stride is exchanged for dilation, as DeepLab does.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from narrows.contract.errors import WeightsMismatch


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
    """A depthwise convolution that leaves autocast: on CPUs its bfloat16 gradient is 5 times slower than float32's."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x.to(self.weight.dtype))


def conv_bn(
    inputs: int, outputs: int, kernel: int = 1, *, stride: int = 1, dilation: int = 1, groups: int = 1
) -> list[nn.Module]:
    """A convolution without bias, padded to keep the grid aligned at ``x = stride * i``, and its batch norm.

    The momentum is PyTorch's 0.1: the original's 0.01 lets running statistics lag behind a short training.
    """
    padding = dilation * (kernel - 1) // 2
    kind = nn.Conv2d if groups == 1 else Depthwise
    return [
        kind(inputs, outputs, kernel, stride, padding, dilation, groups, bias=False),
        nn.BatchNorm2d(outputs, eps=1e-3),
    ]


class InvertedResidual(nn.Module):
    """Expand 1x1, filter depthwise, project 1x1; added to the input where the shapes allow."""

    def __init__(self, inputs: int, stage: Stage, stride: int) -> None:
        super().__init__()
        hidden = inputs * stage.expansion
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

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(*conv_bn(3, STEM_CHANNELS, 3, stride=2), nn.ReLU6())
        stages, inputs = [], STEM_CHANNELS
        for stage in STAGES:
            strides = [stage.stride] + [1] * (stage.blocks - 1)
            blocks = []
            for stride in strides:
                blocks.append(InvertedResidual(inputs, stage, stride))
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
        source = torch.load(path, map_location="cpu", weights_only=True)
        own = self.state_dict()
        tensors = list(source.values())[: len(own)]
        if [t.shape for t in tensors] != [t.shape for t in own.values()]:
            raise WeightsMismatch(f"{path} does not hold EfficientNet-Lite0 weights: its tensors have other shapes")
        self.load_state_dict(dict(zip(own, tensors, strict=True)))
