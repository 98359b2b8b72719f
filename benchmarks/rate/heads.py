"""Training a head on the cached views: the same symbols, steps and loss for every contender."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.rate.contenders import Contender
from benchmarks.rate.plan import Plan
from benchmarks.rate.views import Views
from narrows.models.dataset import ClassList
from narrows.models.evaluation import ConfusionMatrix
from narrows.models.nn.separate import Separate, rebuilding_loss
from narrows.models.training import loss as losses
from narrows.models.training.fitting import Recipe, Task

LEARNING_RATE = 2e-3
REBUILDING_PRICE = 0.3
_AT_ONCE = 8
_MOST = 127.0


@dataclass(frozen=True)
class Setup:
    """What all heads are taught from: views, gains ``(levels, C)``, class weights and what the labels mean."""

    train: Views
    held: Views
    gains: Tensor
    weights: Tensor
    classes: ClassList


def recipe_of(plan: Plan) -> Recipe:
    """The heads' recipe."""
    return Recipe(plan.head_steps, LEARNING_RATE)


def head_task(contender: Contender, setup: Setup, plan: Plan, seed: int) -> Task:
    """Cross-entropy at a random level a sample; where features are rebuilt, their error too."""

    def loss(head: nn.Module, step: int) -> Tensor:
        chance = np.random.default_rng((seed, step))
        torch.manual_seed(seed * 1_000_003 + step)
        rows = np.sort(chance.choice(len(setup.train), plan.batch, replace=False))
        level = torch.from_numpy(chance.integers(len(setup.gains), size=plan.batch))
        latent = dequantised(setup.train.latent[rows], setup.gains[level])
        labels = torch.from_numpy(setup.train.labels[rows])
        with torch.autocast("cpu", dtype=torch.bfloat16):
            if not contender.rebuilds:
                logits = head(latent, labels.shape[1:])
                return cross_entropy(logits, labels, setup, step)
            separate = cast("Separate", head)
            rebuilt = separate.rebuild(latent)
            logits = separate.head(_cut(rebuilt, setup.train), labels.shape[1:])
        true = [_features(setup.train, stride)[rows] for stride in separate.head.strides]
        error = rebuilding_loss(rebuilt, [torch.from_numpy(t.astype(np.float32)) for t in true])
        return cross_entropy(logits, labels, setup, step) + REBUILDING_PRICE * error

    return Task(loss, lambda head: _mean_miou(head, setup))


def dequantised(latent: NDArray[np.float32], gain: Tensor) -> Tensor:
    """Latents ``(n, C, h, w)`` as a decoder sees them at gains ``(n, C)``: float32, rounded, clipped, scaled back."""
    scale = gain[:, :, None, None]
    symbols = (torch.from_numpy(np.array(latent)) * scale).round().clamp(-_MOST, _MOST)
    return (symbols / scale).contiguous(memory_format=torch.channels_last)


def cross_entropy(logits: Tensor, labels: Tensor, setup: Setup, step: int) -> Tensor:
    """Weighted, on every fourth pixel: a grid whose offset changes with the step, so that all pixels count."""
    rows, columns = slice(step % 2, None, 2), slice(step // 2 % 2, None, 2)
    some = labels[:, rows, columns].long()
    log_probability = logits[:, :, rows, columns].float().log_softmax(dim=1)
    return losses.cross_entropy(log_probability, some, setup.weights, setup.classes.ignore_index)


def update(matrix: ConfusionMatrix, labels: NDArray[np.uint8], logits: Tensor) -> None:
    """Add a batch of logits ``(n, classes, H, W)``."""
    for true, predicted in zip(labels, logits.argmax(dim=1).to(torch.uint8).numpy(), strict=True):
        matrix.update(true, predicted)


@torch.no_grad()
def _mean_miou(head: nn.Module, setup: Setup) -> float:
    scores = []
    for gain in setup.gains:
        matrix = ConfusionMatrix(len(setup.classes.names), setup.classes.ignore_index)
        for start in range(0, len(setup.held), _AT_ONCE):
            labels = setup.held.labels[start : start + _AT_ONCE]
            latent = dequantised(setup.held.latent[start : start + _AT_ONCE], gain.expand(len(labels), -1))
            update(matrix, labels, head(latent, labels.shape[1:]))
        scores.append(matrix.miou)
    return float(np.mean(scores))


def _features(views: Views, stride: int) -> NDArray[np.float16]:
    return {8: views.at8, 16: views.at16}[stride]


def _cut(rebuilt: tuple[Tensor, ...], views: Views) -> list[Tensor]:
    """Pixel shuffle may overshoot an odd grid by one."""
    shapes = [views.at8.shape[-2:], views.at16.shape[-2:]][-len(rebuilt) :]
    return [tensor[..., : shape[0], : shape[1]] for tensor, shape in zip(rebuilt, shapes, strict=True)]
