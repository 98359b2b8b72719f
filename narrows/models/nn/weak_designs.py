"""Ways to divide the work between a weak camera and the cloud, as networks that are trained whole.

::

    edge       picture ─► trunk ─► head ─► labels ═══════════════════════════════════════════► mask
    refined    picture ─► trunk ─► head ─► labels ══════════════════════► cloud decoder ────► mask
    features   picture ─► trunk ─► bottleneck ─► symbols ═══════════════► cloud decoder ────► mask
    layered    picture ─► trunk ─┬► head ─► labels ═══════════════════┬► cloud decoder ────► mask
                                 └► bottleneck ─► symbols ═══(labels)═┘

``═`` is the link. In *layered* the labels that were sent choose the law of the symbols, and the cloud's decoder begins
as the camera's mask: without symbols it is *edge*.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from narrows.models.nn.cloud_decoder import LABEL_STRIDE, CloudDecoder, CloudShape
from narrows.models.nn.rate import Gains, LabelledRateModel, RateModel, add_noise, round_straight_through
from narrows.models.nn.weak import (
    Bottleneck,
    MaskHead,
    WeakShape,
    WeakTrunk,
    dominant_labels,
    grid_at4,
    one_hot_labels,
)


class Design(StrEnum):
    """What the camera sends, and whether the cloud computes."""

    EDGE = "edge"
    REFINED = "refined"
    FEATURES = "features"
    LAYERED = "layered"

    @property
    def sends_labels(self) -> bool:
        """Whether a mask made at the camera travels."""
        return self is not Design.FEATURES

    @property
    def sends_symbols(self) -> bool:
        """Whether a latent travels."""
        return self in {Design.FEATURES, Design.LAYERED}

    @property
    def has_cloud(self) -> bool:
        """Whether the cloud computes."""
        return self is not Design.EDGE


class DesignOutput(NamedTuple):
    """What one training pass yields: logits ``(N, classes, H, W)``, the camera's own or ``None``, bits ``(N,)``.

    ``bits`` are those of the symbols; labels have no gradient, and are counted when they are coded.
    """

    logits: Tensor
    camera_logits: Tensor | None
    bits: Tensor
    features: tuple[Tensor, Tensor]


class Camera(nn.Module):
    """The camera's part: pictures to logits at 1/4, a latent, or both, as the design has it."""

    def __init__(self, design: Design, shape: WeakShape, classes: int) -> None:
        super().__init__()
        self.trunk = WeakTrunk(shape)
        self.head = MaskHead(shape, classes) if design.sends_labels else None
        self.bottleneck = Bottleneck(shape) if design.sends_symbols else None

    def forward(self, pictures: Tensor) -> tuple[Tensor, ...]:
        """Logits first, then the latent; each where there is one."""
        logits, latent, _ = self.look(pictures)
        return tuple(each for each in (logits, latent) if each is not None)

    def look(self, pictures: Tensor) -> tuple[Tensor | None, Tensor | None, tuple[Tensor, Tensor]]:
        """Logits, the latent, and the features at 1/8 and 1/16 that both read."""
        features = self.trunk(pictures)
        grid = grid_at4((pictures.shape[-2], pictures.shape[-1]))
        logits = None if self.head is None else self.head(*features, grid)
        return logits, None if self.bottleneck is None else self.bottleneck(features[1]), features


class WeakNetwork(nn.Module):
    """A design, whole: normalised pictures ``(N, 3, H, W)`` and levels ``(N,)`` to logits and bits."""

    def __init__(self, design: Design, shape: WeakShape, cloud: CloudShape, classes: int, levels: int) -> None:
        super().__init__()
        self.design, self.shape = design, shape
        channels = shape.latent_channels if design.sends_symbols else 0
        self.camera = Camera(design, shape, classes)
        self.gains = Gains(levels, channels) if channels else None
        self.rate = _rate(design, levels, channels, classes)
        self.cloud = CloudDecoder(cloud, classes, channels, labels=design.sends_labels) if design.has_cloud else None

    def forward(self, pictures: Tensor, level: Tensor, *, rounded_rate: bool = False) -> DesignOutput:
        size = (pictures.shape[-2], pictures.shape[-1])
        base, latent, features = self.camera.look(pictures)
        labels = None if base is None else one_hot_labels(base)
        bits = pictures.new_zeros(len(pictures), dtype=torch.float32)
        if latent is not None and self.gains is not None:
            latent, bits = self._sent(latent, self.gains(level), level, labels, rounded=rounded_rate)
        camera_logits = None if base is None else _full(base, size)
        if self.cloud is None:  # then the design has a head
            return DesignOutput(cast("Tensor", camera_logits), None, bits, features)
        logits = _full(self.cloud(latent, labels, grid_at4(size)), size)
        return DesignOutput(logits, camera_logits, bits, features)

    def _sent(
        self, latent: Tensor, gain: Tensor, level: Tensor, labels: Tensor | None, *, rounded: bool
    ) -> tuple[Tensor, Tensor]:
        """The latent as the cloud has it, and the bits of its symbols."""
        with torch.autocast(latent.device.type, enabled=False):
            scaled = latent.float() * gain
            symbols = round_straight_through(scaled)
            counted = symbols if rounded else add_noise(scaled)
            bits = self._bits(counted, level, labels).sum(dim=(1, 2, 3))
            return symbols / gain, bits

    def _bits(self, symbols: Tensor, level: Tensor, labels: Tensor | None) -> Tensor:
        if isinstance(self.rate, LabelledRateModel) and labels is not None:
            return self.rate.given(symbols, level, self.labels_of_symbols(labels))
        found: Tensor = cast("RateModel", self.rate)(symbols, level)
        return found

    def labels_of_symbols(self, labels: Tensor) -> Tensor:
        """One-hot labels at 1/4 as the symbols' grid has them."""
        return dominant_labels(labels, self.shape.latent_stride // LABEL_STRIDE)


def _rate(design: Design, levels: int, channels: int, classes: int) -> RateModel | None:
    if not channels:
        return None
    return LabelledRateModel(levels, channels, classes) if design.sends_labels else RateModel(levels, channels)


def _full(logits: Tensor, size: tuple[int, int]) -> Tensor:
    return functional.interpolate(logits, size=size, mode="bilinear", align_corners=False)
