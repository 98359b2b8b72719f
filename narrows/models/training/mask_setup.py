"""What a network for weak cameras learns: masks, at the price of bits. The same for every network that is compared.

Views hang on seed and step alone, so two networks of one seed see the same ones, and a training that was stopped goes
on as it would have.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np
import torch
from torch import Tensor, nn

from narrows.contract.errors import DatasetError
from narrows.models.dataset import ClassList, LabelledPicture
from narrows.models.evaluation import ConfusionMatrix
from narrows.models.nn.weak_designs import DesignOutput
from narrows.models.training.augment import Augmentation, augment, normalise
from narrows.models.training.config import phases_for
from narrows.models.training.fitting import Task
from narrows.models.training.loss import TrainingObjective, class_weights
from narrows.models.training.teacher import Teacher, divergence

_AT_ONCE = 4
_FINE_ZOOM = (1.0, 2.0)


class MaskNetwork(Protocol):
    """What can be taught: :class:`~narrows.models.nn.weak_designs.WeakNetwork`, or one that wraps it."""

    def __call__(self, pictures: Tensor, level: Tensor, *, rounded_rate: bool = False) -> DesignOutput:
        """Normalised pictures ``(N, 3, H, W)`` and levels ``(N,)`` to logits and bits."""
        ...


@dataclass(frozen=True)
class MaskSetup:
    """What stays the same from network to network.

    Attributes:
        train, held: pictures to learn from, and to choose between a training's checkpoints by.
        objective: its price has an entry for each level.
        small_share: of the steps, at two thirds of the size.
        teacher: is asked by all, or nobody.
    """

    classes: ClassList
    train: Sequence[LabelledPicture]
    held: Sequence[LabelledPicture]
    objective: TrainingObjective
    batch: int
    small_share: float
    teacher: Teacher | None = None

    @classmethod
    def of(
        cls,
        classes: ClassList,
        train: Sequence[LabelledPicture],
        held: Sequence[LabelledPicture],
        prices: Sequence[float],
        *,
        batch: int,
        small_share: float,
        teacher: Teacher | None = None,
    ) -> MaskSetup:
        """Count class weights; ``prices`` are the loss that a bit per pixel is worth, a level.

        Raises:
            DatasetError: there is nothing to learn from, or nothing to choose by.
        """
        if not any((sample.labels != classes.ignore_index).any() for sample in held):
            raise DatasetError(
                f"{len(train)} pictures to train on and {len(held)} to judge on, of which nothing is labelled: every "
                "score would be no number; give more pictures, or another share to judge on"
            )
        weights = class_weights((sample.labels for sample in train), len(classes.names))
        objective = TrainingObjective(weights, torch.tensor(prices), classes.ignore_index, overlap_share=1.0)
        return cls(classes, train, held, objective, batch, small_share, teacher)

    def views(self, seed: int, step: int, steps: int) -> tuple[Tensor, Tensor]:
        """Pictures and labels for a step: small ones first, whole ones at the end."""
        chance = random.Random(1_000_003 * seed + step)
        small, whole = phases_for(self.classes.size, 1, 1)
        phase = small if step < self.small_share * steps else whole
        how = Augmentation(phase.size, phase.zoom if phase is small else _FINE_ZOOM)
        samples = chance.choices(self.train, k=self.batch)
        views = [augment(sample, how, chance) for sample in samples]
        pictures = torch.from_numpy(np.stack([view[0] for view in views]))
        return pictures.to(memory_format=torch.channels_last), torch.from_numpy(np.stack([view[1] for view in views]))


def mask_task(setup: MaskSetup, steps: int, seed: int) -> Task:
    """Masks, and the price of bits; judged at the finest level on the pictures that are held out."""

    def loss(network: nn.Module, step: int) -> Tensor:
        pictures, labels = setup.views(seed, step, steps)
        torch.manual_seed(1_000_003 * seed + step)
        level = torch.randint(len(setup.objective.price), (len(pictures),))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            outcome = cast("MaskNetwork", network)(pictures, level, rounded_rate=step >= 0.9 * steps)
        whole = setup.objective.loss(outcome, labels, level).whole
        if outcome.camera_logits is not None:
            whole = whole + setup.objective.task(outcome.camera_logits, labels)
        if setup.teacher is not None:
            _, told = setup.teacher.look(pictures)
            masks = [each for each in (outcome.logits, outcome.camera_logits) if each is not None]
            whole = whole + sum(divergence(told, mask) for mask in masks)
        return whole

    return Task(loss, lambda network: miou_on(network, setup.held, setup.classes))


@torch.no_grad()
def miou_on(network: nn.Module, samples: Sequence[LabelledPicture], classes: ClassList) -> float:
    """Of whole pictures, at the finest level, symbols rounded."""
    matrix = ConfusionMatrix(len(classes.names), classes.ignore_index)
    for start in range(0, len(samples), _AT_ONCE):
        some = samples[start : start + _AT_ONCE]
        pictures = torch.from_numpy(np.stack([normalise(sample.picture) for sample in some]))
        finest = torch.zeros(len(some), dtype=torch.long)
        outcome = cast("MaskNetwork", network)(pictures, finest, rounded_rate=True)
        for sample, predicted in zip(some, outcome.logits.argmax(dim=1).to(torch.uint8).numpy(), strict=True):
            matrix.update(sample.labels, predicted)
    return matrix.miou
