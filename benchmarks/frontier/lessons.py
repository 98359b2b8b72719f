"""What networks learn: the features of a pretrained trunk first, then masks at the price of bits.

Both are the same for every design, and so are views, steps and the teacher, if there is one. A design whose camera
makes a mask learns both masks at once.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.frontier.data import Parts
from benchmarks.frontier.plan import PRICES, Plan
from benchmarks.rate.fitting import Task
from benchmarks.rate.heads import update
from narrows.models.dataset import LabelledPicture
from narrows.models.evaluation import ConfusionMatrix
from narrows.models.nn.efficientnet_lite import STAGES, EfficientNetLite0
from narrows.models.nn.weak import WeakTrunk
from narrows.models.nn.weak_designs import WeakNetwork
from narrows.models.training.augment import Augmentation, augment, normalise
from narrows.models.training.config import phases_for
from narrows.models.training.loss import TrainingObjective, class_weights
from narrows.models.training.run import load_checkpoint
from narrows.models.training.teacher import Teacher, direction_distance, divergence

_TAPS = (2, 4)
"""Stages whose features are learned: 40 channels at 1/8 and 112 at 1/16, before the ones that dilation makes dear."""
_AT_ONCE = 4
_FINE_ZOOM = (1.0, 2.0)


@dataclass(frozen=True)
class Lesson:
    """What stays the same from cell to cell."""

    plan: Plan
    parts: Parts
    objective: TrainingObjective
    teacher: Teacher | None

    @classmethod
    def of(cls, plan: Plan, parts: Parts) -> Lesson:
        """Count class weights, and load the teacher.

        Raises:
            WeightsMismatch: the teacher's run folder holds no checkpoint.
        """
        weights = class_weights((sample.labels for sample in parts.train), len(parts.classes.names))
        objective = TrainingObjective(weights, torch.tensor(PRICES), parts.classes.ignore_index, overlap_share=1.0)
        teacher = Teacher(load_checkpoint(Path(plan.teacher) / "checkpoint.pt")) if plan.teacher else None
        return cls(plan, parts, objective, teacher)

    def batch(self, seed: int, step: int, steps: int) -> tuple[Tensor, Tensor]:
        """Views for a step, by seed and step alone: small ones first, whole ones at the end."""
        chance = random.Random(1_000_003 * seed + step)
        small, whole = phases_for(self.parts.classes.size, 1, 1)
        phase = small if step < self.plan.small_share * steps else whole
        how = Augmentation(phase.size, phase.zoom if phase is small else _FINE_ZOOM)
        samples = chance.choices(self.parts.train, k=self.plan.batch)
        views = [augment(sample, how, chance) for sample in samples]
        pictures = torch.from_numpy(np.stack([view[0] for view in views]))
        return pictures.to(memory_format=torch.channels_last), torch.from_numpy(np.stack([view[1] for view in views]))


def mask_task(lesson: Lesson, seed: int) -> Task:
    """Masks, and the price of bits; judged at the finest level on the held-out blocks."""
    steps = lesson.plan.steps

    def loss(network: nn.Module, step: int) -> Tensor:
        assert isinstance(network, WeakNetwork)
        pictures, labels = lesson.batch(seed, step, steps)
        torch.manual_seed(1_000_003 * seed + step)
        level = torch.randint(len(PRICES), (len(pictures),))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            outcome = network(pictures, level, rounded_rate=step >= 0.9 * steps)
        whole = lesson.objective.loss(outcome, labels, level).whole
        if outcome.camera_logits is not None:
            whole = whole + lesson.objective.task(outcome.camera_logits, labels)
        if lesson.teacher is not None:
            _, told = lesson.teacher.look(pictures)
            masks = [each for each in (outcome.logits, outcome.camera_logits) if each is not None]
            whole = whole + sum(divergence(told, mask) for mask in masks)
        return whole

    return Task(loss, lambda network: _miou(network, lesson.parts))


class FeatureStudent(nn.Module):
    """A trunk, and the projections that its features are compared through."""

    def __init__(self, trunk: WeakTrunk, widths: Sequence[int]) -> None:
        super().__init__()
        self.trunk = trunk
        pairs = zip(widths, _TAPS, strict=True)
        self.project = nn.ModuleList(nn.Conv2d(width, STAGES[tap].channels, 1) for width, tap in pairs)

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """Normalised pictures to what is compared, at 1/8 and 1/16."""
        return [project(each) for project, each in zip(self.project, self.trunk(pictures), strict=True)]


def feature_task(lesson: Lesson, pretrained: Path, seed: int) -> Task:
    """Directions of the features that ImageNet weights make, at 1/8 and 1/16, of small views."""
    told = EfficientNetLite0().eval().requires_grad_(requires_grad=False)
    told.load_imagenet(pretrained)
    steps = lesson.plan.pretrain_steps
    held = [normalise(sample.picture) for sample in lesson.parts.held[:: max(1, len(lesson.parts.held) // _AT_ONCE)]]

    def distance(network: nn.Module, pictures: Tensor) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            ours, theirs = network(pictures), _features(told, pictures)
        return torch.stack([direction_distance(a, b) for a, b in zip(ours, theirs, strict=True)]).mean()

    @torch.no_grad()
    def score(network: nn.Module) -> float:
        return -float(np.mean([distance(network, torch.from_numpy(picture)[None]).item() for picture in held]))

    def loss(network: nn.Module, step: int) -> Tensor:
        return distance(network, lesson.batch(-seed, step, 1 + round(steps / max(lesson.plan.small_share, 1e-9)))[0])

    return Task(loss, score)


@torch.no_grad()
def _features(trunk: EfficientNetLite0, pictures: Tensor) -> list[Tensor]:
    x, found = trunk.stem(pictures), []
    for index, stage in enumerate(trunk.stages[: _TAPS[-1] + 1]):
        x = stage(x)
        if index in _TAPS:
            found.append(x)
    return found


@torch.no_grad()
def _miou(network: nn.Module, parts: Parts) -> float:
    matrix = ConfusionMatrix(len(parts.classes.names), parts.classes.ignore_index)
    for some in _batches(parts.held):
        pictures = torch.from_numpy(np.stack([normalise(sample.picture) for sample in some]))
        outcome = network(pictures, torch.zeros(len(some), dtype=torch.long), rounded_rate=True)
        update(matrix, np.stack([sample.labels for sample in some]), outcome.logits)
    return matrix.miou


def _batches(samples: Sequence[LabelledPicture]) -> list[Sequence[LabelledPicture]]:
    return [samples[start : start + _AT_ONCE] for start in range(0, len(samples), _AT_ONCE)]
