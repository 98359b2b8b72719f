"""Networks as wide as a budget of multiply-accumulates allows: the same shape, scaled.

Convolutions alone are counted while a width is looked for, which takes a forward pass each; what a network costs is
counted on its exported graph (:mod:`narrows.models.export.resources`), which finds up to :data:`BESIDE` more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from narrows.contract.errors import ConfigError
from narrows.models.export.folding import fold
from narrows.models.nn.cloud_decoder import CloudDecoder, CloudShape
from narrows.models.nn.weak import WeakShape, grid_at4
from narrows.models.nn.weak_designs import Camera, Design

BESIDE = 0.04
"""Share of the work that is no convolution: sums, gates, resizes."""
_STEPS = 96
_WIDEST = 6.0
_DEPTHS = ((0.075e9, (1, 1, 1)), (0.3e9, (1, 1, 2)), (0.6e9, (1, 2, 4)), (float("inf"), (1, 3, 6)))
_CLOUD_BLOCKS = ((0.3e9, 1), (0.7e9, 2), (float("inf"), 4))
S = TypeVar("S")


def camera_shape(design: Design, budget_macs: float, size: tuple[int, int], classes: int) -> WeakShape:
    """The widest camera of a design within a budget, for pictures of ``size`` (height, width).

    Raises:
        ConfigError: the narrowest is beyond it.
    """
    start = replace(WeakShape(), depths=next(depths for most, depths in _DEPTHS if budget_macs < most))
    picture = torch.zeros(1, 3, *size)
    return _widest(start.scaled, budget_macs, lambda shape: (Camera(design, shape, classes), (picture,)))


def cloud_shape(budget_macs: float, size: tuple[int, int], classes: int, latent_channels: int) -> CloudShape:
    """The widest decoder of both labels and a latent within a budget: what reads less may have as wide a one.

    Raises:
        ConfigError: the narrowest is beyond it.
    """
    blocks = next(blocks for most, blocks in _CLOUD_BLOCKS if budget_macs < most)
    grid = grid_at4(size)
    latent = torch.zeros(1, latent_channels, -(-size[0] // 16), -(-size[1] // 16))
    labels = torch.zeros(1, classes, *grid)

    def scaled(width: float) -> CloudShape:
        return CloudShape(width=max(16, 8 * round(width * 8)), blocks=blocks)

    def built(shape: CloudShape) -> tuple[nn.Module, Sequence[object]]:
        return CloudDecoder(shape, classes, latent_channels, labels=True), (latent, labels, grid)

    return _widest(scaled, budget_macs, built)


def _widest(
    scaled: Callable[[float], S], budget_macs: float, built: Callable[[S], tuple[nn.Module, Sequence[object]]]
) -> S:
    """By bisection: more width is never less work."""

    def fits(step: int) -> bool:
        return convolution_macs(*built(scaled(_WIDEST * step / _STEPS))) * (1 + BESIDE) <= budget_macs

    low, high = 0, _STEPS + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    if not fits(low):
        raise ConfigError(f"nothing of this shape fits {budget_macs / 1e9:g} GMAC at this picture size: allow more")
    return scaled(_WIDEST * low / _STEPS)


@torch.no_grad()
def convolution_macs(network: nn.Module, inputs: Sequence[object]) -> int:
    """Multiply-accumulates of convolutions and products as they are shipped, by running it once."""
    shipped = fold(network)
    with FlopCounterMode(display=False) as counter:
        shipped(*inputs)
    return int(counter.get_total_flops()) // 2
