"""Rate levels and the rate model that training pays for bits with.

::

    y ──► · gain[level] ──┬─► + U(-½, ½) ──► bits under Laplace(scale(channel, neighbours))   (the rate)
                          └─► round, straight through ──► / gain[level] ──► decoder           (the task)

One network serves every level: a level is a vector of gains (Cui et al., "Asymmetric Gained Deep Image
Compression", CVPR 2021). The rate model is what the integer tables of ``narrows.contract.codec`` will be counted
for: a symbol's spread depends on its channel and on the magnitudes of the neighbours already decoded.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

NEIGHBOURS = 4
_TINY = 1e-6


class Gains(nn.Module):
    """Per level and channel, how finely the latent is quantised. Positive; learned as logarithms."""

    def __init__(self, levels: int, channels: int, *, coarsest: float = 0.25, finest: float = 1.5) -> None:
        super().__init__()
        start = torch.linspace(math.log(finest), math.log(coarsest), levels)
        self.log_gain = nn.Parameter(start[:, None].repeat(1, channels))

    def forward(self, level: Tensor) -> Tensor:
        """``(N,)`` level indices to gains ``(N, C, 1, 1)``."""
        return self.log_gain[level].exp()[:, :, None, None]


class RateModel(nn.Module):
    """Bits of each symbol under a Laplace law whose scale reads channel, level and causal neighbours."""

    def __init__(self, levels: int, channels: int) -> None:
        super().__init__()
        self.base = nn.Parameter(torch.zeros(levels, channels))
        self.weight = nn.Parameter(torch.full((channels, NEIGHBOURS), -1.5))

    def forward(self, symbols: Tensor, level: Tensor) -> Tensor:
        """``(N, C, h, w)`` scaled latents (noisy or rounded) to bits of the same shape; never negative."""
        return self._bits(symbols, self.base[level][:, :, None, None])

    def _bits(self, symbols: Tensor, base: Tensor) -> Tensor:
        magnitudes = functional.pad(symbols.abs(), (1, 1, 1, 0))
        height, width = symbols.shape[-2:]
        above = [magnitudes[..., :height, x : x + width] for x in range(3)]
        left = magnitudes[..., 1:, :width]
        weights = functional.softplus(self.weight)[:, :, None, None]
        neighbours = sum(weights[:, i] * m for i, m in enumerate([left, *above]))
        scale = functional.softplus(base) * 0.5 + neighbours + 0.03
        upper, lower = _laplace_cdf(symbols + 0.5, scale), _laplace_cdf(symbols - 0.5, scale)
        return -torch.log2((upper - lower).clamp_min(_TINY))


class LabelledRateModel(RateModel):
    """The same where a label of each position is known before its symbols: the scale reads the label too."""

    def __init__(self, levels: int, channels: int, labels: int) -> None:
        super().__init__(levels, channels)
        self.by_label = nn.Parameter(torch.zeros(levels, labels, channels))

    def given(self, symbols: Tensor, level: Tensor, labels: Tensor) -> Tensor:
        """As ``forward``, with labels ``(N, labels, h, w)``, one of them 1 at each position and the others 0."""
        told = torch.einsum("nlc,nlhw->nchw", self.by_label[level], labels)
        return self._bits(symbols, self.base[level][:, :, None, None] + told)


def _laplace_cdf(x: Tensor, scale: Tensor) -> Tensor:
    return 0.5 - 0.5 * x.sign() * torch.expm1(-x.abs() / scale)


def add_noise(scaled: Tensor) -> Tensor:
    """Uniform noise in place of rounding, so that the rate has a gradient (Ballé et al., ICLR 2017)."""
    return scaled + torch.empty_like(scaled).uniform_(-0.5, 0.5)


def round_straight_through(scaled: Tensor) -> Tensor:
    """Rounded forward, identity backward: the task sees exactly what the decoder will see."""
    return scaled + (scaled.round() - scaled).detach()
