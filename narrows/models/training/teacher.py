"""Distillation: a network that was trained before says what it sees, in shades rather than in labels.

::

    picture ─┬─► student ─► logits, trunk features ────────────┐
             └─► teacher, nothing quantised ─► logits, features ┴─► KL(teacher ‖ student) · T², and the distance of
                                                                   normalised features

Sources: Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", 2015; for features, Heo et al., "A
Comprehensive Overhaul of Feature Distillation", ICCV 2019, reduced to its distance.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from narrows.models.nn.network import JointNetwork, NetworkOutput

TEMPERATURE = 2.0


@dataclass(frozen=True)
class Teacher:
    """A trained network that is only asked. Its latent is neither gained nor rounded: it knows more than it could send.

    Attributes:
        share: weight of the logits' part beside the labels' loss.
        feature_share: weight of the features' part; 0 where the trunks differ.
    """

    network: JointNetwork
    share: float = 1.0
    feature_share: float = 0.0

    def loss(self, student: NetworkOutput, pictures: Tensor) -> Tensor:
        """How far the student is from what the teacher sees in normalised pictures ``(N, 3, H, W)``."""
        features, logits = self.look(pictures)
        whole = self.share * divergence(logits, student.logits)
        if self.feature_share:
            whole = whole + self.feature_share * direction_distance(student.features, features)
        return whole

    @torch.no_grad()
    def look(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Features and logits of normalised pictures."""
        features = self.network.encoder.features(pictures)
        latent = self.network.encoder.bottleneck(features)
        return features, self.network.decoder(latent, (pictures.shape[-2], pictures.shape[-1]))


def divergence(teacher: Tensor, student: Tensor) -> Tensor:
    """KL divergence of two logits ``(N, classes, H, W)`` at :data:`TEMPERATURE`, times its square."""
    told = functional.log_softmax(teacher.float() / TEMPERATURE, dim=1)
    said = functional.log_softmax(student.float() / TEMPERATURE, dim=1)
    return (told.exp() * (told - said)).sum(dim=1).mean() * TEMPERATURE**2


def direction_distance(one: Tensor, other: Tensor) -> Tensor:
    """Mean squared distance of directions, position by position: 0 to 4."""
    return (
        (functional.normalize(one.float(), dim=1) - functional.normalize(other.float(), dim=1)).square().sum(1).mean()
    )
