"""What an answer hangs on: gradients at the weights, and at what crosses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from narrows.models.bottleneck.objective import Target
from narrows.models.bottleneck.trainable import Trainable
from narrows.models.bottleneck.weights import Rounded
from narrows.models.split.cuts import Cut
from narrows.models.split.halves import Values
from narrows.models.split.network import Network


def own_loss(target: Target, made: Tensor) -> Tensor:
    """Whose gradient says what the answer hangs on: of the decision that was made, or of a random sum of the values."""
    if target.decides:
        return functional.cross_entropy(made, made.argmax(dim=1))
    return (made * torch.randn_like(made)).mean()


def gradients_at(
    network: Network, cut: Cut, feeds: Sequence[Values], target: Target, rounded: Mapping[str, Rounded]
) -> Mapping[str, NDArray[np.float32]]:
    """Of each of the cut's tensors, ``(N, C, H, W)``, in the units that the network has it in."""
    trainable = Trainable(network, list(dict.fromkeys([target.tensor, *cut.names])), rounded)
    torch.manual_seed(0)
    found: dict[str, list[NDArray[np.float32]]] = {name: [] for name in cut.names}
    for feed in feeds:
        made = trainable(torch.from_numpy(feed[network.input.name]))
        gradients = torch.autograd.grad(own_loss(target, made[target.tensor]), [made[name] for name in cut.names])
        for name, gradient in zip(cut.names, gradients, strict=True):
            found[name].append(gradient.numpy())
    return {name: np.concatenate(each) for name, each in found.items()}
