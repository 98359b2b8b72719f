"""EfficientNet-Lite0 with its head, as published, as an ONNX file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from narrows.models.nn.efficientnet_lite import STAGES, STEM_CHANNELS, InvertedResidual, conv_bn
from narrows.models.nn.stored import read_stored

SIDE = 224
_PUBLISHED = {5: replace(STAGES[5], stride=2, dilation=1), 6: replace(STAGES[6], dilation=1)}
"""Where this project's trunk has dilation for stride."""


class SamePadded(nn.Module):
    """A convolution of stride 2, padded as TensorFlow does where sides are even: more at the end."""

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        total = convolution.kernel_size[0] - 2
        self.before, self.after = total // 2, total - total // 2
        self.convolution = convolution
        convolution.padding = (0, 0)

    def forward(self, x: Tensor) -> Tensor:
        """As the convolution."""
        y: Tensor = self.convolution(functional.pad(x, (self.before, self.after, self.before, self.after)))
        return y


class Classifier(nn.Module):
    """``(1, 3, 224, 224)`` float, mean 127 and deviation 128, to 1,000 logits."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [*conv_bn(3, STEM_CHANNELS, 3, stride=2), nn.ReLU6()]
        inputs = STEM_CHANNELS
        for index, trunk_stage in enumerate(STAGES):
            stage = _PUBLISHED.get(index, trunk_stage)
            for stride in [stage.stride] + [1] * (stage.blocks - 1):
                layers.append(InvertedResidual(inputs, stage, stride))
                inputs = stage.channels
        self.features = nn.Sequential(*layers, *conv_bn(inputs, 1280), nn.ReLU6())
        self.classes = nn.Linear(1280, 1000)

    def forward(self, pictures: Tensor) -> Tensor:
        """Logits ``(N, 1000)``."""
        logits: Tensor = self.classes(self.features(pictures).mean(dim=(2, 3)))
        return logits


def export(weights: Path, path: Path) -> None:
    """Load the published weights, whose tensors are in this order, and write the graph."""
    network = Classifier().eval()
    published = read_stored(weights, "file of EfficientNet-Lite0's published weights")
    network.load_state_dict(dict(zip(network.state_dict(), published.tensors(), strict=True)))
    for module in list(network.features.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.Conv2d) and child.stride[0] == 2:
                setattr(module, name, SamePadded(child))
    torch.onnx.export(
        network, (torch.zeros(1, 3, SIDE, SIDE),), path, dynamo=True, external_data=False, verbose=False,
        input_names=["pictures"], output_names=["logits"],
    )  # fmt: skip
