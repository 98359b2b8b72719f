"""ESPNetv2 for Cityscapes, as its authors published it: a teacher that is only asked, never shipped.

::

    picture ─► level 1 (/2) ─► level 2 (/4) ─► level 3 (/8) ─► level 4 (/16) ─► pyramid pooling ─┐
                  │               │               └──────────────► · gate ─► x2 + ─► pyramid ─◄──┘
                  └───────────────┴── the same twice more ─► logits at 1/2 ─► bilinear to the picture

Source: Mehta et al., "ESPNetv2: A Light-weight, Power Efficient, and General Purpose Convolutional Neural Network",
CVPR 2019; the layers are named as in the weights of sacmehta/EdgeNets (2b232d3, MIT) at scale 2.0.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from narrows.models.nn.stored import read_stored

CHANNELS = (32, 128, 256, 512)
RECEPTIVE_FIELDS = (13, 11, 9, 7)
REPEATS = (3, 7)
BRANCHES = 4
PYRAMID_SCALES = (2.0, 1.5, 1.0, 0.5, 0.1)
DECODER_CHANNELS = (64, 48, 32)
PYRAMID_WIDTH = 10
CITYSCAPES_CHANNELS = 20
"""19 classes and one for what has none."""
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
MULTIPLE = 16
"""Sides of a picture must be multiples of it: what rises by two must meet what came down."""


class _ConvNormPrelu(nn.Module):
    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(outputs)
        self.act = nn.PReLU(outputs)

    def forward(self, x: Tensor) -> Tensor:
        activated: Tensor = self.act(self.bn(self.conv(x)))
        return activated


class _ConvNorm(nn.Module):
    def __init__(self, inputs: int, outputs: int, groups: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 1, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        normalised: Tensor = self.bn(self.conv(x))
        return normalised


class _NormPrelu(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(channels)
        self.act = nn.PReLU(channels)

    def forward(self, x: Tensor) -> Tensor:
        activated: Tensor = self.act(self.bn(x))
        return activated


class _Dilated(nn.Module):
    def __init__(self, channels: int, dilation: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride, dilation, dilation, groups=channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        convolved: Tensor = self.conv(x)
        return convolved


class _Eesp(nn.Module):
    """Reduce, look at four dilations, add each to the one before, merge."""

    def __init__(self, inputs: int, outputs: int, receptive_field: int, stride: int = 1) -> None:
        super().__init__()
        width = outputs // BRANCHES
        self.proj_1x1 = _ConvNormPrelu(inputs, width, 1, groups=BRANCHES)
        kernels = sorted(k if (k := 3 + 2 * i) <= receptive_field else 3 for i in range(BRANCHES))
        self.spp_dw = nn.ModuleList(_Dilated(width, (kernel - 1) // 2, stride) for kernel in kernels)
        self.conv_1x1_exp = _ConvNorm(outputs, outputs, groups=BRANCHES)
        self.br_after_cat = _NormPrelu(outputs)
        self.module_act = nn.PReLU(outputs)

    def expand(self, x: Tensor) -> Tensor:
        reduced = self.proj_1x1(x)
        branches: list[Tensor] = []
        for dilated in self.spp_dw:
            seen = dilated(reduced)
            branches.append(seen + branches[-1] if branches else seen)
        expanded: Tensor = self.conv_1x1_exp(self.br_after_cat(torch.cat(branches, 1)))
        return expanded

    def forward(self, x: Tensor) -> Tensor:
        activated: Tensor = self.module_act(self.expand(x) + x)
        return activated


class _Down(nn.Module):
    """Half the grid: pooled and dilated side by side, plus the picture itself at that size."""

    def __init__(self, inputs: int, outputs: int, receptive_field: int) -> None:
        super().__init__()
        self.eesp = _Eesp(inputs, outputs - inputs, receptive_field, stride=2)
        self.inp_reinf = nn.Sequential(_ConvNormPrelu(3, 3, 3), _ConvNorm(3, outputs))
        self.act = nn.PReLU(outputs)

    def forward(self, x: Tensor, picture: Tensor) -> Tensor:
        pooled = _halved(x)
        joined = torch.cat([pooled, self.eesp.expand(x)], 1)
        while picture.shape[-2:] != pooled.shape[-2:]:
            picture = _halved(picture)
        activated: Tensor = self.act(joined + self.inp_reinf(picture))
        return activated


class _Pyramid(nn.Module):
    """Depthwise filters at five sizes of the grid, merged."""

    def __init__(self, inputs: int, outputs: int, *, last: bool = False) -> None:
        super().__init__()
        width, scales = PYRAMID_WIDTH, len(PYRAMID_SCALES)
        self.projection_layer = _Listed("cbr", _layers(inputs, width, 1))
        self.stages = nn.ModuleList(nn.Conv2d(width, width, 3, 1, 1, groups=width, bias=False) for _ in range(scales))
        self.merge_layer = nn.Sequential(
            _Listed("br", [nn.BatchNorm2d(width * scales), nn.PReLU(width * scales)]),
            nn.ChannelShuffle(scales),
            _Listed("cbr", _layers(width * scales, width, 3, groups=width)),
            nn.Conv2d(width, outputs, 1, bias=last),
        )
        self.br = nn.Identity() if last else _Listed("br", [nn.BatchNorm2d(outputs), nn.PReLU(outputs)])

    def forward(self, x: Tensor) -> Tensor:
        x = self.projection_layer(x)
        seen = [_at_scale(x, stage, scale) for stage, scale in zip(self.stages, PYRAMID_SCALES, strict=True)]
        merged: Tensor = self.br(self.merge_layer(torch.cat(seen, 1)))
        return merged


class _Gated(nn.Module):
    """Features of the way down, weighed by the whole picture."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.wt_layer = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(inputs, outputs, 1, bias=False), nn.Sigmoid())
        self.expansion_layer = _Listed("cbr", _layers(inputs, outputs, 3, groups=math.gcd(inputs, outputs)))

    def forward(self, x: Tensor) -> Tensor:
        gated: Tensor = self.expansion_layer(x) * self.wt_layer(x)
        return gated


class _Listed(nn.Module):
    """A sequence under the name that the published weights give it."""

    def __init__(self, name: str, layers: list[nn.Module]) -> None:
        super().__init__()
        self.add_module(name, nn.Sequential(*layers))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.children():
            x = layer(x)
        return x


class _Trunk(nn.Module):
    """The way down; answers what each level saw, the finest first."""

    def __init__(self) -> None:
        super().__init__()
        one, two, three, four = CHANNELS
        fields = RECEPTIVE_FIELDS
        self.level1 = _ConvNormPrelu(3, one, 3, 2)
        self.level2_0 = _Down(one, two, fields[0])
        self.level3_0 = _Down(two, three, fields[1])
        self.level3 = nn.ModuleList(_Eesp(three, three, fields[2]) for _ in range(REPEATS[0]))
        self.level4_0 = _Down(three, four, fields[2])
        self.level4 = nn.ModuleList(_Eesp(four, four, fields[3]) for _ in range(REPEATS[1]))

    def forward(self, picture: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        one = self.level1(picture)
        two = self.level2_0(one, picture)
        three = self.level3_0(two, picture)
        for block in self.level3:
            three = block(three)
        four = self.level4_0(three, picture)
        for block in self.level4:
            four = block(four)
        return one, two, three, four


class ESPNetV2(nn.Module):
    """RGB ``(N, 3, H, W)`` in 0 to 1, sides multiples of 16, to Cityscapes logits ``(N, 20, H, W)``."""

    def __init__(self) -> None:
        super().__init__()
        one, two, three, four = CHANNELS
        at8, at4, at2 = DECODER_CHANNELS
        self.base_net = _Trunk()
        self.bu_dec_l1 = _Pyramid(four, at8)
        self.bu_dec_l2 = _Pyramid(at8, at4)
        self.bu_dec_l3 = _Pyramid(at4, at2)
        self.bu_dec_l4 = _Pyramid(at2, CITYSCAPES_CHANNELS, last=True)
        self.merge_enc_dec_l2 = _Gated(three, at8)
        self.merge_enc_dec_l3 = _Gated(two, at4)
        self.merge_enc_dec_l4 = _Gated(one, at2)
        self.bu_br_l2 = nn.Sequential(nn.BatchNorm2d(at8), nn.PReLU(at8))
        self.bu_br_l3 = nn.Sequential(nn.BatchNorm2d(at4), nn.PReLU(at4))
        self.bu_br_l4 = nn.Sequential(nn.BatchNorm2d(at2), nn.PReLU(at2))
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None], persistent=False)
        self.register_buffer("deviation", torch.tensor(DEVIATION)[:, None, None], persistent=False)

    @classmethod
    def load(cls, path: Path) -> ESPNetV2:
        """The published weights, in evaluation mode.

        Raises:
            WeightsMismatch: the file is missing or holds another network.
        """
        network = cls()
        read_stored(path, "copy of espnetv2_s_2.0_city_1024x512.pth of sacmehta/EdgeNets").fill(network)
        return network.eval()

    def forward(self, pictures: Tensor) -> Tensor:
        """See the class."""
        normalised = (pictures - self.get_buffer("mean")) / self.get_buffer("deviation")
        one, two, three, four = self.base_net(normalised)
        x = self.bu_dec_l1(four)
        x = self.bu_dec_l2(self.bu_br_l2(self.merge_enc_dec_l2(three) + _doubled(x)))
        x = self.bu_dec_l3(self.bu_br_l3(self.merge_enc_dec_l3(two) + _doubled(x)))
        x = self.bu_dec_l4(self.bu_br_l4(self.merge_enc_dec_l4(one) + _doubled(x)))
        return functional.interpolate(x, size=pictures.shape[-2:], mode="bilinear", align_corners=True)


def _layers(inputs: int, outputs: int, kernel: int, groups: int = 1) -> list[nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, groups=groups, bias=False)
    return [convolution, nn.BatchNorm2d(outputs), nn.PReLU(outputs)]


def _halved(x: Tensor) -> Tensor:
    return functional.avg_pool2d(x, 3, 2, 1)


def _doubled(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)


def _at_scale(x: Tensor, stage: nn.Module, scale: float) -> Tensor:
    height, width = x.shape[-2:]
    scaled = max(5, math.ceil(height * scale)), max(5, math.ceil(width * scale))
    if scale > 1:
        risen = functional.interpolate(x, scaled, mode="bilinear", align_corners=True)
        return functional.adaptive_avg_pool2d(stage(risen), (height, width))
    if scale < 1:
        pooled = functional.adaptive_avg_pool2d(x, scaled)
        return functional.interpolate(stage(pooled), (height, width), mode="bilinear", align_corners=True)
    seen: Tensor = stage(x)
    return seen
