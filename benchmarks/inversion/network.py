"""The attacker's network: symbols of a frame and its rate level in, a picture out; most of it at the latent's size.

::

    symbols (C, 23, 30) / gain, normed ── conv 160 ── residual x4 ── conv, sub-pixel x4 (32, 92, 120) ── residual
    level ── embedding ──────────────────┘                     ── conv, sub-pixel x2 ── (3, 180, 240)

Sub-pixel convolutions: Shi et al., 2016.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

_WIDE, _NARROW = 160, 32


class Residual(nn.Module):
    """Two 3 x 3 convolutions around what passes."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.GroupNorm(8, width),
            nn.SiLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(width, width, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """``(N, width, h, w)`` to the same."""
        return x + self.body(x)  # type: ignore[no-any-return]


class Inverter(nn.Module):
    """Guesses pictures ``(N, 3, H, W)`` in 0..1 from dequantised latents ``(N, C, h, w)`` and levels ``(N,)``."""

    def __init__(self, channels: int, levels: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = size
        self.level = nn.Embedding(levels, _WIDE)
        self.head = nn.Sequential(nn.BatchNorm2d(channels, affine=False), nn.Conv2d(channels, _WIDE, 3, padding=1))
        self.body = nn.Sequential(
            *(Residual(_WIDE) for _ in range(4)),
            nn.GroupNorm(8, _WIDE),
            nn.Conv2d(_WIDE, _NARROW * 16, 3, padding=1),
            nn.PixelShuffle(4),
            Residual(_NARROW),
            nn.Conv2d(_NARROW, 3 * 4, 3, padding=1),
            nn.PixelShuffle(2),
        )

    def forward(self, latent: Tensor, level: Tensor) -> Tensor:
        """The guess."""
        x = self.body(self.head(latent) + self.level(level)[:, :, None, None])
        return torch.sigmoid(functional.interpolate(x, self.size, mode="bilinear", align_corners=False))
