"""How alike two pictures are: PSNR, and SSIM as Wang et al. 2004 define it (Gaussian window of 11, deviation 1.5)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

_WINDOW, _DEVIATION = 11, 1.5
_C1, _C2 = 0.01**2, 0.03**2


def psnr_db(guess: Tensor, truth: Tensor) -> float:
    """Of pictures ``(3, H, W)`` in 0..1, decibels."""
    return float(-10 * torch.log10(torch.mean((guess - truth) ** 2)))


def ssim(guess: Tensor, truth: Tensor) -> float:
    """Of the luma of pictures ``(3, H, W)`` in 0..1; 1 for the same."""
    weights = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    a, b = (functional.conv2d(picture[None], weights) for picture in (guess, truth))
    mean_a, mean_b = _blurred(a), _blurred(b)
    var_a, var_b = _blurred(a * a) - mean_a**2, _blurred(b * b) - mean_b**2
    together = _blurred(a * b) - mean_a * mean_b
    likeness = ((2 * mean_a * mean_b + _C1) * (2 * together + _C2)) / (
        (mean_a**2 + mean_b**2 + _C1) * (var_a + var_b + _C2)
    )
    return float(likeness.mean())


def _blurred(plane: Tensor) -> Tensor:
    at = torch.arange(_WINDOW) - _WINDOW // 2
    row = torch.exp(-(at**2) / (2 * _DEVIATION**2))
    row = row / row.sum()
    across = functional.conv2d(plane, row.view(1, 1, 1, -1))
    return functional.conv2d(across, row.view(1, 1, -1, 1))
