"""What training minimises: cross-entropy of the mask, what it overlaps too little, and the price of its bits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from narrows.contract.errors import DatasetError


def class_weights(label_maps: Iterable[NDArray[np.uint8]], classes: int) -> Tensor:
    """``(classes,)`` float32 weights, milder than inverse frequency: ``1 / ln(1.1 + share)``, mean 1 by share.

    Source: Paszke et al., "ENet", 2016, section 5, with 1.1 for 1.02 so that rare classes do not run wild.

    Raises:
        DatasetError: no pixel has a class.
    """
    counts = np.zeros(classes, dtype=np.int64)
    for labels in label_maps:
        counts += np.bincount(labels[labels < classes], minlength=classes)
    if not counts.any():
        raise DatasetError("no pixel of the pictures to train on has a class: all have the ignored label")
    share = counts / counts.sum()
    weights = 1 / np.log(1.1 + share)
    return torch.from_numpy((weights / (weights * share).sum()).astype(np.float32))


class Outcome(Protocol):
    """What a pass yields: logits ``(N, classes, H, W)`` and bits ``(N,)``, with gradients."""

    @property
    def logits(self) -> Tensor:
        """Of the classes."""

    @property
    def bits(self) -> Tensor:
        """Of each sample."""


class LossParts(NamedTuple):
    """The loss with its gradient; its task part and the bits per pixel ``(N,)`` without."""

    whole: Tensor
    task: Tensor
    bits_per_pixel: Tensor


@dataclass(frozen=True)
class TrainingObjective:
    """What a training wants.

    Attributes:
        weights: ``(classes,)`` of the cross-entropy.
        price: a level, how much loss a bit per pixel is worth (lambda of the field).
        ignore_index: the label that counts nowhere.
        overlap_share: weight of the soft Jaccard loss beside the cross-entropy.
    """

    weights: Tensor
    price: Tensor
    ignore_index: int
    overlap_share: float

    def loss(self, outcome: Outcome, labels: Tensor, level: Tensor) -> LossParts:
        """The loss of a batch: labels ``(N, H, W)`` int64, levels ``(N,)``."""
        task = self.task(outcome.logits, labels)
        bits_per_pixel = outcome.bits / labels[0].numel()
        whole = task + (self.price[level] * bits_per_pixel).mean()
        return LossParts(whole, task.detach(), bits_per_pixel.detach())

    def task(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The task's part alone, of logits ``(N, classes, H, W)``."""
        log_probability = logits.float().log_softmax(dim=1)
        task = cross_entropy(log_probability, labels, self.weights, self.ignore_index)
        if self.overlap_share:
            task = task + self.overlap_share * soft_jaccard_loss(log_probability.exp(), labels, self.ignore_index)
        return task


def cross_entropy(log_probability: Tensor, labels: Tensor, weights: Tensor | None, ignore_index: int) -> Tensor:
    """Weighted mean over the pixels that are known; 0, and no gradient, where none is: torch says NaN of that.

    ``log_probability`` ``(N, classes, H, W)``, ``labels`` ``(N, H, W)`` int64.
    """
    if not (labels != ignore_index).any():
        return log_probability.sum() * 0
    return functional.nll_loss(log_probability, labels, weights, ignore_index=ignore_index)


def soft_jaccard_loss(probability: Tensor, labels: Tensor, ignore_index: int) -> Tensor:
    """One minus the mean intersection over union of probabilities and labels, over the classes that are there.

    ``probability`` ``(N, classes, H, W)``, ``labels`` ``(N, H, W)``. Cross-entropy counts pixels and mIoU counts
    classes: what is thin, poles and signs, is worth more here. Over the batch as a whole: a single picture holds too
    little of a rare class.

    Source: Rahman and Wang, "Optimizing Intersection-Over-Union in Deep Neural Networks", ISVC 2016.
    """
    classes = probability.shape[1]
    known = labels != ignore_index
    truth = labels[known]
    right = probability.gather(1, labels.where(known, 0)[:, None])[:, 0][known]
    both = right.new_zeros(classes).index_add(0, truth, right)
    areas = torch.bincount(truth, minlength=classes)
    claimed = (probability * known[:, None]).sum(dim=(0, 2, 3))
    there = areas > 0
    overlap = both[there] / (claimed + areas - both)[there].clamp_min(1)
    return 1 - overlap.mean() if len(overlap) else probability.sum() * 0
