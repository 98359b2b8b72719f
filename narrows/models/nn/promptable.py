"""The network that fits a sensor: a U-Net of depthwise separable convolutions, 96 x 96, three bytes of prompt a pixel.

::

    6 @ 96 ─► stem ─► 16 @ 48 ─► 24 @ 24 ─► 40 @ 12 ─► 80 @ 6 ─► 112 @ 6 ─► 128 @ 6
       │                │           │          │                              │ x 2
       │                │           │          └──────────► join ─► 96 @ 12 ◄─┘
       │                │           └─────────────────────► join ─► 64 @ 24
       │                └─────────────────────────────────► join ─► 48 @ 48
       └─► 8 @ 96 ────────────────────────────────────────► join ─► 16 @ 96 ─► logit @ 96

The way down is EfficientNet-Lite0 without its last two stages, so that ImageNet weights fit; its stem takes the
prompt's maps as three channels more. Convolutions, ReLU6, additions, concatenation, nearest neighbours twice the size:
every operator is on the lists of converters for sensors; no softmax, LayerNorm or GELU, no squeeze, no attention.

Sources: Ronneberger et al., "U-Net", MICCAI 2015; Tan and Le, "EfficientNet", ICML 2019 (its *Lite* variant); Bonazzi
et al., "PicoSAM2", 2025, for the size and the purpose.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from narrows.contract.errors import WeightsMismatch
from narrows.models.nn.efficientnet_lite import STAGES, STEM_CHANNELS, InvertedResidual, Stage, conv_bn
from narrows.models.nn.stored import read_stored
from narrows.runtime.prompting.inputs import CHANNELS


@dataclass(frozen=True)
class PromptableShape:
    """What tells one network of this kind from another.

    Attributes:
        size: side of the crop, pixels.
        stages: of EfficientNet-Lite0 that are kept: 5 for a sensor, 7 for a teacher.
        bottom: channels at the coarsest grid.
        joins: channels after each join, coarsest first.
        full: channels of the one convolution at full size.
    """

    size: int = 96
    stages: int = 5
    bottom: int = 128
    joins: tuple[int, int, int, int] = (96, 64, 48, 16)
    full: int = 8


STUDENT = PromptableShape()
TEACHER = PromptableShape(size=256, stages=7, bottom=256, joins=(128, 96, 64, 32), full=16)
PROMPT_SHARE = 0.5
"""Of the prompt's weights in the stem as they are drawn: the pretrained features first see what they know."""
_TAPS = (0, 1, 2)
"""The stages whose outputs are joined on the way up: strides 2, 4 and 8."""


class Separable(nn.Sequential):
    """Depthwise 3x3 and pointwise, each with batch norm and ReLU6."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3) -> None:
        super().__init__(
            *conv_bn(inputs, inputs, kernel, groups=inputs), nn.ReLU6(), *conv_bn(inputs, outputs), nn.ReLU6()
        )


class Join(nn.Module):
    """What comes from below, twice the size, beside what was kept: mixed to ``outputs`` channels."""

    def __init__(self, below: int, kept: int, outputs: int, mixes: int = 2) -> None:
        super().__init__()
        self.narrow = nn.Sequential(*conv_bn(below, outputs), nn.ReLU6())
        more = (Separable(outputs, outputs) for _ in range(mixes - 1))
        self.mix = nn.Sequential(Separable(outputs + kept, outputs), *more)

    def forward(self, below: Tensor, kept: Tensor) -> Tensor:
        grown = functional.interpolate(self.narrow(below), scale_factor=2.0, mode="nearest")
        mixed: Tensor = self.mix(torch.cat([grown, kept], dim=1))
        return mixed


class PromptableNetwork(nn.Module):
    """``(N, 6, size, size)`` normalised bytes to logits ``(N, 1, size, size)``: above 0 is the thing."""

    def __init__(self, shape: PromptableShape = STUDENT) -> None:
        super().__init__()
        self.shape = shape
        self.stem = nn.Sequential(*conv_bn(CHANNELS, STEM_CHANNELS, 3, stride=2), nn.ReLU6())
        stages = STAGES[: shape.stages]
        self.stages = nn.ModuleList(_stage(stage, inputs) for stage, inputs in zip(stages, _inputs(), strict=False))
        deepest = stages[-1].channels
        self.bottom = nn.Sequential(Separable(deepest, shape.bottom, 5), Separable(shape.bottom, shape.bottom, 5))
        self.full = nn.Sequential(*conv_bn(CHANNELS, shape.full, 3), nn.ReLU6())
        kept = [*(STAGES[tap].channels for tap in reversed(_TAPS)), shape.full]
        below = [shape.bottom, *shape.joins[:-1]]
        mixes = (2, 2, 2, 1)
        self.joins = nn.ModuleList(Join(*sizes) for sizes in zip(below, kept, shape.joins, mixes, strict=True))
        self.head = nn.Conv2d(shape.joins[-1], 1, 1)

    def forward(self, inputs: Tensor) -> Tensor:
        kept, x = [self.full(inputs)], self.stem(inputs)
        for index, stage in enumerate(self.stages):
            x = stage(x)
            if index in _TAPS:
                kept.append(x)
        x = self.bottom(x)
        for join in self.joins:
            x = join(x, kept.pop())
        logits: Tensor = self.head(x)
        return logits

    @torch.no_grad()
    def load_imagenet(self, path: Path) -> None:
        """Load the published EfficientNet-Lite0 weights into the way down; the prompt's channels begin small.

        Raises:
            WeightsMismatch: the file's tensors do not have this trunk's shapes.
        """
        given = read_stored(path, "file of EfficientNet-Lite0's published weights").tensors()
        trunk = {**self.stem.state_dict(prefix="stem."), **self.stages.state_dict(prefix="stages.")}
        first = trunk["stem.0.weight"]
        wanted = [first[:, :3].shape, *(own.shape for own in list(trunk.values())[1:])]
        if [each.shape for each in given[: len(wanted)]] != wanted:
            raise WeightsMismatch(f"{path} does not hold EfficientNet-Lite0 weights: its tensors have other shapes")
        loaded = dict(zip(trunk, given, strict=False))
        loaded["stem.0.weight"] = torch.cat([given[0], first[:, 3:] * PROMPT_SHARE], dim=1)
        self.load_state_dict(loaded, strict=False)


def _inputs() -> list[int]:
    return [STEM_CHANNELS, *(stage.channels for stage in STAGES)]


def _stage(stage: Stage, inputs: int) -> nn.Sequential:
    plain = Stage(stage.kernel, stage.stride, 1, stage.expansion, stage.channels, stage.blocks)
    first = InvertedResidual(inputs, plain, stage.stride)
    return nn.Sequential(first, *(InvertedResidual(stage.channels, plain, 1) for _ in range(stage.blocks - 1)))
