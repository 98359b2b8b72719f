"""Pictures to the cloud: the camera sends a JPEG, WebP, AVIF or H.264 picture, the whole network runs in the cloud.

::

    decoded picture ─► EfficientNet-Lite0 ─► 320 @ 1/16 ─► DeepLabv3 head ─► logits
"""

from __future__ import annotations

from torch import Tensor, nn

from narrows.models.nn.efficientnet_lite import EfficientNetLite0
from narrows.models.nn.heads import DeepLabV3Head


class PictureNetwork(nn.Module):
    """Normalised pictures ``(N, 3, H, W)`` to class logits ``(N, classes, H, W)``."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.trunk = EfficientNetLite0()
        self.head = DeepLabV3Head(classes)

    def forward(self, pictures: Tensor) -> Tensor:
        _, _, at16 = self.trunk(pictures)
        logits: Tensor = self.head((at16,), (pictures.shape[-2], pictures.shape[-1]))
        return logits
