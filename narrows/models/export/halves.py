"""What a bundle is exported from: the camera's half, the gains between them, and the cloud's half."""

from __future__ import annotations

from typing import NamedTuple

from torch import nn

from narrows.models.nn.network import JointNetwork
from narrows.models.nn.rate import Gains


class Halves(NamedTuple):
    """A trained network, apart.

    Attributes:
        encoder: normalised pictures ``(N, 3, H, W)`` to the latent ``(N, C, h, w)`` before any gain.
        gains: of each rate level and channel.
        decoder: the latent and (height, width) to class logits ``(N, classes, H, W)``.
    """

    encoder: nn.Module
    gains: Gains
    decoder: nn.Module


Exportable = JointNetwork | Halves
"""The joint network has the same three parts."""
