"""Separate decoding: rebuild the features first, then segment them.

::

    y_hat (C @ 1/16) ─► source decoder ─► features as the trunk made them ─► task head ─► logits
                        at most a tenth of the head's parameters

Source: Ahuja et al., "Neural Rate Estimator and Unsupervised Learning for Efficient Distributed Image Analytics
in Split-DNN Models", CVPR 2023. Encoder, latent, gains and tables are those of the joint decoder. The source
decoder rebuilds exactly the tensors that the head reads, held to them by :func:`rebuilding_loss`; trained together
with the task, which is kinder to it than the paper's frozen head.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from narrows.models.nn.decoder import JointDecoder
from narrows.models.nn.efficientnet_lite import conv_bn
from narrows.models.nn.heads import AT8_CHANNELS, AT16_CHANNELS, DeepLabV3Head, DeepLabV3PlusHead, LRASPPHead

DEEPLAB_HIDDEN, LIGHT_HIDDEN = 240, 64


class _OneStride(nn.Module):
    """Rebuilds stride 16; then a head that reads it."""

    source: nn.Module
    head: DeepLabV3Head | ContextHead

    def rebuild(self, latent: Tensor) -> tuple[Tensor, ...]:
        """The features that the head reads, finest stride first."""
        return (self.source(latent),)

    def forward(self, latent: Tensor, size: tuple[int, int]) -> Tensor:
        logits: Tensor = self.head(self.rebuild(latent), size)
        return logits


class SeparateDeepLabV3(_OneStride):
    """Rebuilds ``channels`` at stride 16 (3x3, 1x1, 1x1), then :class:`~narrows.models.nn.heads.DeepLabV3Head`."""

    def __init__(
        self, latent_channels: int, classes: int, channels: int = AT16_CHANNELS, hidden: int = DEEPLAB_HIDDEN
    ) -> None:
        super().__init__()
        self.source = nn.Sequential(
            *conv_bn(latent_channels, hidden, 3),
            nn.ReLU(),
            *conv_bn(hidden, hidden),
            nn.ReLU(),
            nn.Conv2d(hidden, channels, 1),
        )
        self.head = DeepLabV3Head(classes, channels)


class _TwoStrides(nn.Module):
    """Rebuilds strides 8 (pixel shuffle) and 16; then a head that reads both."""

    enter: nn.Module
    head: DeepLabV3PlusHead | LRASPPHead

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.at16 = nn.Conv2d(hidden, AT16_CHANNELS, 1)
        self.at8 = nn.Sequential(nn.Conv2d(hidden, 4 * AT8_CHANNELS, 1), nn.PixelShuffle(2))

    def rebuild(self, latent: Tensor) -> tuple[Tensor, ...]:
        """The features that the head reads, finest stride first."""
        entered = self.enter(latent)
        return self.at8(entered), self.at16(entered)

    def forward(self, latent: Tensor, size: tuple[int, int]) -> Tensor:
        at8, at16 = self.rebuild(latent)
        height8, width8 = -(-size[0] // 8), -(-size[1] // 8)
        logits: Tensor = self.head((at8[:, :, :height8, :width8], at16), size)
        return logits


class SeparateDeepLabV3Plus(_TwoStrides):
    """The strongest: the branch at stride 8 too, for which the encoder pays anyway."""

    def __init__(self, latent_channels: int, classes: int, hidden: int = DEEPLAB_HIDDEN) -> None:
        super().__init__(hidden)
        self.enter = nn.Sequential(*conv_bn(latent_channels, hidden, 3), nn.ReLU(), *conv_bn(hidden, hidden), nn.ReLU())
        self.head = DeepLabV3PlusHead(classes)


class SeparateLRASPP(_TwoStrides):
    """LR-ASPP of ``width``."""

    def __init__(self, latent_channels: int, classes: int, width: int, hidden: int = LIGHT_HIDDEN) -> None:
        super().__init__(hidden)
        self.enter = nn.Sequential(*conv_bn(latent_channels, hidden), nn.ReLU())
        self.head = LRASPPHead(classes, width)


class SeparateContext(_OneStride):
    """Rebuilds stride 16 (1x1, 1x1), then the joint decoder's own blocks, of ``width``, on the features."""

    def __init__(self, latent_channels: int, classes: int, width: int, hidden: int = LIGHT_HIDDEN) -> None:
        super().__init__()
        self.source = nn.Sequential(*conv_bn(latent_channels, hidden), nn.ReLU(), nn.Conv2d(hidden, AT16_CHANNELS, 1))
        self.head = ContextHead(classes, width)


class ContextHead(nn.Module):
    """Features ``(N, 320, h, w)`` at stride 16 to logits, as the joint decoder makes them of a latent."""

    strides = (16,)

    def __init__(self, classes: int, width: int) -> None:
        super().__init__()
        self.decoder = JointDecoder(AT16_CHANNELS, classes, width)

    def forward(self, features: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
        (at16,) = features
        logits: Tensor = self.decoder(at16, size)
        return logits


Separate = SeparateDeepLabV3 | SeparateDeepLabV3Plus | SeparateLRASPP | SeparateContext


def rebuilding_loss(rebuilt: Sequence[Tensor], features: Sequence[Tensor]) -> Tensor:
    """Mean squared error of the rebuilt tensors over the variance of the true ones, averaged over tensors; () float."""
    errors = []
    for ours, true in zip(rebuilt, features, strict=True):
        cut = ours[..., : true.shape[-2], : true.shape[-1]].float()
        errors.append((cut - true).square().mean() / true.var().clamp_min(1e-6))
    total = errors[0]
    for error in errors[1:]:
        total = total + error
    return total / len(errors)
