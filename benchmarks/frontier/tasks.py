"""What networks learn: the features of a pretrained trunk first, then masks at the price of bits.

Both are the same for every design, and so are views, steps and the teacher, if there is one. A design whose camera
makes a mask learns both masks at once (:mod:`narrows.models.training.mask_setup`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.frontier.data import Parts
from benchmarks.frontier.plan import PRICES, Plan
from benchmarks.unseen import check_unseen
from narrows.models.nn.efficientnet_lite import STAGES, EfficientNetLite0
from narrows.models.nn.weak import WeakTrunk
from narrows.models.training.augment import normalise
from narrows.models.training.fitting import Task
from narrows.models.training.mask_setup import MaskSetup
from narrows.models.training.run import load_checkpoint
from narrows.models.training.teacher import Teacher, direction_distance

_TAPS = (2, 4)
"""Stages whose features are learned: 40 channels at 1/8 and 112 at 1/16, before the ones that dilation makes dear."""
_LOOKED_AT = 4
"""Pictures that say how well features are imitated."""


def setup_of(plan: Plan, parts: Parts) -> MaskSetup:
    """The setup of a plan.

    Raises:
        WeightsMismatch: the teacher's run folder holds no checkpoint.
        ConfigError: the teacher has seen what is judged.
    """
    if plan.teacher:
        check_unseen(Path(plan.teacher), [each.name for each in parts.judged])
    teacher = Teacher(load_checkpoint(Path(plan.teacher) / "checkpoint.pt")) if plan.teacher else None
    return MaskSetup.of(
        parts.classes,
        parts.train,
        parts.held,
        PRICES,
        batch=plan.batch,
        small_share=plan.small_share,
        teacher=teacher,
    )


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


def feature_task(setup: MaskSetup, steps: int, pretrained: Path, seed: int) -> Task:
    """Directions of the features that ImageNet weights make, at 1/8 and 1/16, of small views."""
    told = EfficientNetLite0().eval().requires_grad_(requires_grad=False)
    told.load_imagenet(pretrained)
    held = [normalise(sample.picture) for sample in setup.held[:: max(1, len(setup.held) // _LOOKED_AT)]]

    def distance(network: nn.Module, pictures: Tensor) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            ours, theirs = network(pictures), _features(told, pictures)
        return torch.stack([direction_distance(a, b) for a, b in zip(ours, theirs, strict=True)]).mean()

    @torch.no_grad()
    def score(network: nn.Module) -> float:
        return -float(np.mean([distance(network, torch.from_numpy(picture)[None]).item() for picture in held]))

    def loss(network: nn.Module, step: int) -> Tensor:
        return distance(network, setup.views(-seed, step, 1 + round(steps / max(setup.small_share, 1e-9)))[0])

    return Task(loss, score)


@torch.no_grad()
def _features(trunk: EfficientNetLite0, pictures: Tensor) -> list[Tensor]:
    x, found = trunk.stem(pictures), []
    for index, stage in enumerate(trunk.stages[: _TAPS[-1] + 1]):
        x = stage(x)
        if index in _TAPS:
            found.append(x)
    return found
