"""Training the networks that read pictures: one on uncompressed ones, then one a codec that goes on from it."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.rate.codecs import Picture, PictureCodec
from benchmarks.rate.heads import Setup, cross_entropy, update
from benchmarks.rate.plan import Plan
from benchmarks.rate.video import SETTINGS, code_video
from benchmarks.rate.views import Parts
from narrows.models.dataset import LabelledPicture
from narrows.models.evaluation import ConfusionMatrix
from narrows.models.nn.heads import DeepLabV3Head
from narrows.models.nn.network import JointNetwork
from narrows.models.nn.pictures import PictureNetwork
from narrows.models.training.augment import Augmentation, augment, normalise
from narrows.models.training.fitting import Recipe, Task

LEARNING_RATE = 5e-4
TRUNK_SHARE = 0.4
_AT_ONCE = 4
_VIDEO_SETTINGS = 4
Degrade = Callable[[LabelledPicture, random.Random], LabelledPicture]


def start_network(network: JointNetwork, head: DeepLabV3Head) -> PictureNetwork:
    """The end-to-end network's trunk with a head that knows its features."""
    started = PictureNetwork(network.shape.classes)
    started.trunk.load_state_dict(network.encoder.trunk.state_dict())
    started.head.load_state_dict(head.state_dict())
    return started


def recipe_of(steps: int) -> Recipe:
    """The picture networks' recipe."""
    return Recipe(steps, LEARNING_RATE, warmup_steps=20)


def groups_of(network: PictureNetwork) -> list[dict[str, object]]:
    """The trunk at a share of the learning rate."""
    return [
        {"params": list(network.head.parameters()), "share": 1.0},
        {"params": list(network.trunk.parameters()), "share": TRUNK_SHARE},
    ]


def picture_task(parts: Parts, setup: Setup, plan: Plan, degrade: Degrade) -> Task:
    """Cross-entropy on random views of pictures that went through ``degrade``; scored on such ones too."""
    held = [degrade(sample, random.Random(index)) for index, sample in enumerate(parts.held)]
    size = setup.classes.size

    def loss(network: nn.Module, step: int) -> Tensor:
        chance = random.Random(step)
        torch.manual_seed(step)
        samples = chance.sample(parts.train, plan.batch)
        views = [augment(degrade(s, chance), Augmentation(size, (1.0, 1.5)), chance) for s in samples]
        pictures = torch.from_numpy(np.stack([v[0] for v in views])).to(memory_format=torch.channels_last)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = network(pictures)
        return cross_entropy(logits, torch.from_numpy(np.stack([v[1] for v in views])), setup, step)

    return Task(loss, lambda network: _miou(network, held, setup))


def untouched(sample: LabelledPicture, _chance: random.Random) -> LabelledPicture:
    """Uncompressed."""
    return sample


def through(codec: PictureCodec) -> Degrade:
    """A still codec at a random scale and quality."""

    def degrade(sample: LabelledPicture, chance: random.Random) -> LabelledPicture:
        coded = codec.code(sample.picture, chance.choice(codec.settings))
        return LabelledPicture(sample.name, coded.picture, sample.labels)

    return degrade


def through_video(parts: Parts, plan: Plan) -> Degrade:
    """H.264: drives coded as clips beforehand, each picture in a few random settings."""
    chance = random.Random(264)
    seen: dict[str, list[Picture]] = {sample.name: [] for sample in (*parts.train, *parts.held)}
    for some in (parts.train, parts.held):
        for clip in _clips(some):
            for setting in chance.sample(SETTINGS, min(_VIDEO_SETTINGS, plan.codec_steps)):
                coded = code_video([sample.picture for sample in clip], setting, preset="veryfast")
                for sample, each in zip(clip, coded, strict=True):
                    seen[sample.name].append(each.picture)

    def degrade(sample: LabelledPicture, chance: random.Random) -> LabelledPicture:
        return LabelledPicture(sample.name, chance.choice(seen[sample.name]), sample.labels)

    return degrade


def _clips(samples: Sequence[LabelledPicture], length: int = 15) -> list[Sequence[LabelledPicture]]:
    return [samples[start : start + length] for start in range(0, len(samples), length)]


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
