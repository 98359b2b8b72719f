"""What a compressed network is trained for: to answer as the unmodified one, or as labels say, in few bits.

::

    loss = task + labels + a little · what the decoder missed of the cut's tensors + price · bits a pixel
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from onnx import helper
from torch import Tensor
from torch.nn import functional

from narrows.contract.errors import NotTrainable
from narrows.models.bottleneck.trainable import constants_of
from narrows.models.split.network import Network
from narrows.models.training.loss import cross_entropy

_PASSING = frozenset({"Cast", "Identity"})
_MISSED_SHARE = 0.1
IGNORED = 255


@dataclass(frozen=True)
class Target:
    """The last tensor of a network that has a gradient.

    Attributes:
        tensor: its name.
        decides: whether its greatest channel is what counts; else its values do.
        gathered: rows or columns that are repeated or left out behind it: the axis, and which.
    """

    tensor: str
    decides: bool
    gathered: tuple[tuple[int, tuple[int, ...]], ...] = ()

    def values(self, raw: Tensor) -> Tensor:
        """As the network's output has its places."""
        for axis, places in self.gathered:
            raw = raw.index_select(axis, torch.tensor(places))
        return raw


def target_of(network: Network) -> Target:
    """By the first output, from behind: its numbers, or what its ArgMax looks at.

    Raises:
        NotTrainable: it gives whole numbers that no ArgMax makes.
    """
    name = network.outputs[0]
    gathered: list[tuple[int, tuple[int, ...]]] = []
    while (place := network.maker.get(name)) is not None:
        node = network.nodes[place]
        proto = network.model.graph.node[node.index]
        attributes = {each.name: helper.get_attribute_value(each) for each in proto.attribute}
        whole = not network.tensors[name].is_float
        if node.operator == "ArgMax" and attributes.get("axis", 0) == 1:
            lost = 0 if attributes.get("keepdims", 1) else 1
            found = ((axis + (lost if axis else 0), places) for axis, places in reversed(gathered))
            return Target(node.inputs[0], decides=True, gathered=tuple(found))
        if whole and node.operator == "Gather" and node.inputs == (proto.input[0],):
            places = constants_of(network, {proto.input[1]})[proto.input[1]]
            axis = attributes.get("axis", 0) % len(network.tensors[node.inputs[0]].shape)
            gathered.append((axis, tuple(int(each) for each in np.ravel(places))))
        elif not whole or node.operator not in _PASSING:
            break
        name = node.inputs[0]
    if gathered or not network.tensors[network.outputs[0]].is_float:
        raise NotTrainable(
            f"output {network.outputs[0]} of {network.name} has whole numbers that no ArgMax over channels makes: "
            "there is nothing to learn from"
        )
    shape = network.tensors[name].shape
    return Target(name, decides=len(shape) == 2 and shape[1] > 1)


def task_loss(target: Target, made: Tensor, wanted: Tensor) -> Tensor:
    """How far the answer is from the unmodified network's: divergence of decisions, else squares over variance."""
    if target.decides:
        log_made, log_wanted = (functional.log_softmax(each, dim=1) for each in (made, wanted))
        return (log_wanted.exp() * (log_wanted - log_made)).sum(dim=1).mean()
    return squares(made, wanted)


def squares(made: Tensor, wanted: Tensor) -> Tensor:
    """Squared error over the variance of what was wanted."""
    return (made - wanted).square().mean() / wanted.var().clamp_min(1e-6)


def label_loss(target: Target, raw: Tensor, labels: NDArray[np.uint8] | int) -> Tensor:
    """Cross-entropy with a class, or with a label map; ``IGNORED`` counts nothing."""
    values = target.values(raw)
    if isinstance(labels, int):
        return functional.cross_entropy(values, torch.tensor([labels]))
    wanted = torch.from_numpy(labels.astype(np.int64))[None, None].float()
    if wanted.shape[2:] != values.shape[2:]:
        wanted = functional.interpolate(wanted, values.shape[2:], mode="nearest")
    return cross_entropy(values.log_softmax(dim=1), wanted[:, 0].long(), None, IGNORED)


def missed_loss(decoded: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> Tensor:
    """What the decoders missed of the unmodified network's tensors, where those have as many channels still."""
    parts = [squares(made, wanted[name]) for name, made in decoded.items() if made.shape == wanted[name].shape]
    return _MISSED_SHARE * torch.stack(parts).mean() if parts else torch.zeros(())
