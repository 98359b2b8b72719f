"""The product's own network reads pictures: as it is, and used to what comes out of a codec at one quality.

::

    picture ─► codec at a scale ═══► decoded picture ─► encoder, joint decoder in one, nothing quantised ─► mask
               └─ quality: a band ─┘                    └─ tuned: a network for each codec and quality ─┘

A video codec's pictures are learned from clips at its frame rate. Labelled frames lie a second apart, so each becomes a
clip of its own: what a camera on a vehicle would have seen before it, and the frame itself, predicted from that.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.rate.codecs import Picture, PictureCodec, Setting
from benchmarks.rate.heads import Setup, update
from benchmarks.rate.plan import SCALES
from benchmarks.rate.video import VideoCodec
from benchmarks.rate.views import Parts
from narrows.models.dataset import LabelledPicture
from narrows.models.evaluation import ConfusionMatrix
from narrows.models.export.motion import displaced, displacement, with_noise
from narrows.models.export.picture_graphs import MaskAtEdge
from narrows.models.training.augment import Augmentation, augment, normalise
from narrows.models.training.fitting import Recipe, Task
from narrows.models.training.loss import TrainingObjective

LEARNING_RATE = 4e-4
TRUNK_SHARE = 0.3
CLIP_FRAMES = 6
_ZOOM = (1.0, 1.25)
"""Little: a codec's blocks are to keep their size."""
_AT_ONCE = 4
Degrade = Callable[[LabelledPicture, random.Random], LabelledPicture]


def recipe_of(steps: int) -> Recipe:
    """Of every tuning."""
    return Recipe(steps, LEARNING_RATE, warmup_steps=20)


def groups_of(network: MaskAtEdge) -> list[dict[str, object]]:
    """The trunk at a share of the learning rate."""
    trunk = list(network.encoder.trunk.parameters())
    known = {id(parameter) for parameter in trunk}
    return [
        {"params": [parameter for parameter in network.parameters() if id(parameter) not in known], "share": 1.0},
        {"params": trunk, "share": TRUNK_SHARE},
    ]


def tuning_task(parts: Parts, setup: Setup, batch: int, degrade: Degrade) -> Task:
    """The loss of `narrows train`, less its bits, on pictures that went through ``degrade``; scored on such ones."""
    held = [degrade(sample, random.Random(index)) for index, sample in enumerate(parts.held)]
    objective = TrainingObjective(setup.weights, torch.zeros(1), setup.classes.ignore_index, overlap_share=1.0)

    def loss(network: nn.Module, step: int) -> Tensor:
        chance = random.Random(step)
        torch.manual_seed(step)
        samples = chance.sample(parts.train, batch)
        views = [augment(degrade(s, chance), Augmentation(setup.classes.size, _ZOOM), chance) for s in samples]
        pictures = torch.from_numpy(np.stack([v[0] for v in views])).to(memory_format=torch.channels_last)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = network(pictures)
        return objective.task(logits, torch.from_numpy(np.stack([v[1] for v in views])))

    return Task(loss, lambda network: _miou(network, held, setup))


def through(codec: PictureCodec, quality: int) -> Degrade:
    """A still codec at one quality and a random scale."""

    def degrade(sample: LabelledPicture, chance: random.Random) -> LabelledPicture:
        coded = codec.code(sample.picture, Setting(chance.choice(SCALES), quality))
        return LabelledPicture(sample.name, coded.picture, sample.labels)

    return degrade


def through_video(codec: VideoCodec, quality: int) -> Degrade:
    """A video codec at one quality and a random scale: the last frame of a clip that ends in the picture."""

    def degrade(sample: LabelledPicture, chance: random.Random) -> LabelledPicture:
        clip = ending_in(sample.picture, np.random.default_rng(chance.getrandbits(64)))
        *_, last = codec.code(clip, Setting(chance.choice(SCALES), quality), preset="veryfast")
        return LabelledPicture(sample.name, last.picture, sample.labels)

    return degrade


def ending_in(picture: Picture, generator: np.random.Generator) -> list[Picture]:
    """What a camera that rides along sees on its way to a picture, and the picture."""
    field = displacement(picture.shape[0], picture.shape[1], generator, still_cameras=0.0)
    before = (displaced(picture, -step * field) for step in range(CLIP_FRAMES - 1, 0, -1))  # smaller: still far away
    return [*(with_noise(each, 0.0, generator) for each in before), picture]


@torch.no_grad()
def _miou(network: nn.Module, held: Sequence[LabelledPicture], setup: Setup) -> float:
    matrix = ConfusionMatrix(len(setup.classes.names), setup.classes.ignore_index)
    for start in range(0, len(held), _AT_ONCE):
        some = held[start : start + _AT_ONCE]
        pictures = torch.from_numpy(np.stack([normalise(s.picture) for s in some]))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = network(pictures.contiguous(memory_format=torch.channels_last))
        update(matrix, np.stack([s.labels for s in some]), logits)
    return matrix.miou
