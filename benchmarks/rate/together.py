"""Encoder and decoder trained on together: what each kind of decoding is worth with an encoder that suits it.

::

                      ┌─► the joint decoder, as it was trained ──────────────┐
    end-to-end encoder┤                                                     ├─► as many steps, encoder and all ─► judged
                      └─► separate decoding, trained on the frozen encoder ──┘

Ours goes on for as many steps, so that neither has learned for longer.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self, cast

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.rate.heads import REBUILDING_PRICE, Setup
from benchmarks.rate.views import Parts
from narrows.contract.errors import ConfigError
from narrows.models.dataset import LabelledPicture
from narrows.models.nn.decoder import JointDecoder
from narrows.models.nn.network import JointNetwork
from narrows.models.nn.separate import Separate, rebuilding_loss
from narrows.models.training.augment import Augmentation, augment
from narrows.models.training.check import check
from narrows.models.training.config import TrainingConfig
from narrows.models.training.fitting import Recipe, Task
from narrows.models.training.loss import TrainingObjective

LEARNING_RATE = 4e-4
_ZOOM = (1.0, 2.0)
_PRICES = TrainingConfig.prices
_TRUNK, _SCALES = TrainingConfig.trunk_share, TrainingConfig.scale_share


@dataclass(frozen=True)
class Pair:
    """An encoder and a decoder that are trained on together.

    Attributes:
        name: of the graph in the cloud; the camera's is :attr:`encoder`.
        begins_from: the contender whose first seed's head it begins with; ``None``: the end-to-end decoder.
    """

    name: str
    label: str
    begins_from: str | None

    @property
    def encoder(self) -> str:
        """The camera's graph."""
        return f"{self.name}_encoder"


JOINT = Pair("joint_together", "joint decoder, encoder trained on", None)
SEPARATE = Pair("separate_together", "separate, DeepLabv3+, encoder trained on", "separate_deeplabv3plus")
PAIRS = (JOINT, SEPARATE)


def pair_of(network: JointNetwork, head: nn.Module | None) -> JointNetwork:
    """A copy of the end-to-end network, with another decoder where one is given."""
    whole = copy.deepcopy(network)
    if head is not None:
        whole.decoder = cast("JointDecoder", copy.deepcopy(head))
    return whole.requires_grad_(requires_grad=True)


def recipe_of(steps: int) -> Recipe:
    """Of both pairs."""
    return Recipe(steps, LEARNING_RATE)


def groups_of(network: JointNetwork) -> list[dict[str, object]]:
    """The trunk at a share of the learning rate, gains and rate model at a multiple, as `narrows train` has them."""
    trunk = list(network.encoder.trunk.parameters())
    scales = [*network.gains.parameters(), *network.rate.parameters()]
    known = {id(parameter) for parameter in (*trunk, *scales)}
    rest = [parameter for parameter in network.parameters() if id(parameter) not in known]
    return [
        {"params": rest, "share": 1.0},
        {"params": trunk, "share": _TRUNK},
        {"params": scales, "share": _SCALES, "weight_decay": 0.0},
    ]


def together_task(parts: Parts, setup: Setup, batch: int) -> Task:
    """The loss of `narrows train`, and what is rebuilt wrongly where features are; mean mIoU of all levels.

    Raises:
        ConfigError: the network has other rate levels than the recipe has prices for.
    """
    levels = len(setup.gains)
    if levels != len(_PRICES):
        raise ConfigError(f"the checkpoint has {levels} rate levels; the recipe has prices for {len(_PRICES)}")
    objective = TrainingObjective(setup.weights, torch.tensor(_PRICES), setup.classes.ignore_index, overlap_share=1.0)

    def loss(network: nn.Module, step: int) -> Tensor:
        chance = random.Random(step)
        torch.manual_seed(step)
        pictures, labels = _views(chance.sample(parts.train, batch), setup, chance)
        level = torch.randint(levels, (batch,))
        with torch.autocast("cpu", dtype=torch.bfloat16), _Watched(cast("JointNetwork", network)) as watched:
            outcome = network(pictures, level, rounded_rate=True)
            missed = watched.missed()
        return objective.loss(outcome, labels, level).whole + REBUILDING_PRICE * missed

    def score(network: nn.Module) -> float:
        found = check(cast("JointNetwork", network), parts.held, setup.classes, range(levels))
        return float(np.mean([each.miou for each in found.values()]))

    return Task(loss, score)


def _views(samples: Sequence[LabelledPicture], setup: Setup, chance: random.Random) -> tuple[Tensor, Tensor]:
    views = [augment(sample, Augmentation(setup.classes.size, _ZOOM), chance) for sample in samples]
    pictures = torch.from_numpy(np.stack([v[0] for v in views])).to(memory_format=torch.channels_last)
    return pictures, torch.from_numpy(np.stack([v[1] for v in views]))


class _Watched:
    """The trunk's features and what the decoder reads, for as long as it is open."""

    def __init__(self, network: JointNetwork) -> None:
        self._network = network
        self._features: tuple[Tensor, ...] = ()
        self._latent = torch.empty(0)

    def __enter__(self) -> Self:
        self._hooks = [
            self._network.encoder.trunk.register_forward_hook(self._see_features),
            self._network.decoder.register_forward_pre_hook(self._see_latent),
        ]
        return self

    def __exit__(self, *_: object) -> None:
        for hook in self._hooks:
            hook.remove()

    def _see_features(self, _module: nn.Module, _given: object, made: tuple[Tensor, ...]) -> None:
        _, at8, at16 = made
        self._features = (at8, at16)

    def _see_latent(self, _module: nn.Module, given: tuple[Tensor, ...]) -> None:
        self._latent = given[0]

    def missed(self) -> Tensor:
        """How far what a separate decoder rebuilds is from the features; of the joint decoder nothing."""
        decoder: nn.Module = self._network.decoder
        if isinstance(decoder, JointDecoder):
            return torch.zeros(())
        rebuilt = cast("Separate", decoder).rebuild(self._latent)
        return rebuilding_loss(rebuilt, [each.detach().float() for each in self._features[-len(rebuilt) :]])
