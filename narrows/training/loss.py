"""What training minimises: cross-entropy of the mask plus the price of its bits."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from narrows.nn.network import Outcome


def class_weights(label_maps: Iterable[NDArray[np.uint8]], classes: int) -> Tensor:
    """``(classes,)`` float32 weights, milder than inverse frequency: ``1 / ln(1.1 + share)``, mean 1 by share.

    Source: Paszke et al., "ENet", 2016, section 5, with 1.1 for 1.02 so that rare classes do not run wild.
    """
    counts = np.zeros(classes, dtype=np.int64)
    for labels in label_maps:
        counts += np.bincount(labels[labels < classes], minlength=classes)
    share = counts / counts.sum()
    weights = 1 / np.log(1.1 + share)
    return torch.from_numpy((weights / (weights * share).sum()).astype(np.float32))


def rate_distortion_loss(
    outcome: Outcome, labels: Tensor, level: Tensor, *, weights: Tensor, price: Tensor, ignore_index: int
) -> tuple[Tensor, Tensor, Tensor]:
    """The loss, its task part and the mean bits per pixel.

    ``price`` holds, a level, how much cross-entropy a bit per pixel is worth (lambda of the field).
    """
    task = functional.cross_entropy(outcome.logits.float(), labels, weights, ignore_index=ignore_index)
    bits_per_pixel = outcome.bits / labels[0].numel()
    return task + (price[level] * bits_per_pixel).mean(), task.detach(), bits_per_pixel.detach()
