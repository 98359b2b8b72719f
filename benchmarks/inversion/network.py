"""The attacker's network: symbols of a frame and its rate level in, a picture out.

::

    symbols (C, 23, 30) / gain ── conv 128 ── residual x2 ── [x2 up, conv, residual] x3 ── conv 3 ── (3, 180, 240)
    level ── embedding ──────────┘
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

_WIDTHS = (128, 96, 64, 32)


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
        self.level = nn.Embedding(levels, _WIDTHS[0])
        self.head = nn.Conv2d(channels, _WIDTHS[0], 3, padding=1)
        stages: list[nn.Module] = [Residual(_WIDTHS[0]), Residual(_WIDTHS[0])]
        for wide, narrow in pairwise(_WIDTHS):
            stages += [nn.Upsample(scale_factor=2.0), nn.Conv2d(wide, narrow, 3, padding=1), Residual(narrow)]
        self.stages = nn.Sequential(*stages)
        self.tail = nn.Conv2d(_WIDTHS[-1], 3, 3, padding=1)

    def forward(self, latent: Tensor, level: Tensor) -> Tensor:
        """The guess."""
        x = self.head(latent) + self.level(level)[:, :, None, None]
        x = self.tail(self.stages(x))
        return torch.sigmoid(functional.interpolate(x, self.size, mode="bilinear", align_corners=False))
