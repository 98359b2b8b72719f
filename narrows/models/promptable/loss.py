"""What a view costs: cross-entropy that counts edges more, and overlap."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

EDGE_WEIGHT = 2.0
EDGE_WIDTH = 5
"""Pixels of the crop across an edge that count more."""


def mask_loss(logits: Tensor, target: Tensor, taught: Tensor | None = None, taught_share: float = 0.5) -> Tensor:
    """The mean over a batch.

    Args:
        logits: ``(N, 1, H, W)``.
        target: ``(N, 1, H, W)``, the share of each pixel that is the thing.
        taught: a teacher's probabilities, likewise; cross-entropy is against a mix of both.
        taught_share: of the teacher in that mix.
    """
    logits = logits.float()
    aim = target if taught is None else torch.lerp(target, taught, taught_share)
    weight = 1 + EDGE_WEIGHT * edges(target)
    cross_entropy = functional.binary_cross_entropy_with_logits(logits, aim, weight)
    return cross_entropy + soft_jaccard(logits.sigmoid(), target)


def edges(target: Tensor) -> Tensor:
    """1 where both the thing and something else are within a few pixels."""
    most = functional.max_pool2d(target, EDGE_WIDTH, 1, EDGE_WIDTH // 2)
    least = -functional.max_pool2d(-target, EDGE_WIDTH, 1, EDGE_WIDTH // 2)
    return most - least


def soft_jaccard(probability: Tensor, target: Tensor) -> Tensor:
    """One minus the mean overlap, thing by thing: a small one counts as much as a large one."""
    both = (probability * target).sum(dim=(1, 2, 3))
    either = (probability + target - probability * target).sum(dim=(1, 2, 3))
    return 1 - ((both + 1) / (either + 1)).mean()
