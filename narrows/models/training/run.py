"""A training in progress, as its run folder keeps it."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from narrows.contract.errors import TrainingDiverged, WeightsMismatch
from narrows.models.nn.network import JointNetwork, NetworkShape
from narrows.models.nn.stored import read_stored, write_stored
from narrows.models.training.config import TrainingConfig

CHECKPOINT = "checkpoint.pt"
LONGEST_GRADIENT = 5.0
_WHAT = "checkpoint of `narrows train`"


@dataclass
class Run:
    """What a checkpoint holds: the network, its running average, which is what is shipped, and the optimiser."""

    network: JointNetwork
    average: JointNetwork
    optimiser: torch.optim.AdamW
    epoch: int = 0

    @classmethod
    def begin(cls, network: JointNetwork, config: TrainingConfig) -> Run:
        """A run of ``network`` as it is, at epoch 0."""
        average = copy.deepcopy(network).eval().requires_grad_(requires_grad=False)
        return cls(network, average, _optimiser(network, config))

    def save(self, path: Path) -> None:
        """Write a checkpoint that is whole or absent, whenever the process is killed."""
        state = {
            "shape": vars(self.network.shape),
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "epoch": self.epoch,
        }
        write_stored(state, path)

    def load(self, path: Path) -> None:
        """Go on where :meth:`save` left off.

        Raises:
            WeightsMismatch: the checkpoint is of a network of another shape, damaged, or none.
        """
        state = read_stored(path, _WHAT, {"shape", "network", "average", "optimiser", "epoch"})
        if state.rebuilt(NetworkShape, "shape") != self.network.shape:
            raise WeightsMismatch(f"{path} holds {state.values['shape']}, this run wants {vars(self.network.shape)}")
        state.fill(self.network, "network")
        state.fill(self.average, "average")
        state.fill(self.optimiser, "optimiser")
        self.epoch = int(state.values["epoch"])

    def follow(self, decay: float) -> None:
        """Move the average a little towards the network."""
        follow(self.average, self.network, decay)


def take_step(network: nn.Module, optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    """Go down the loss once; a gradient that is too long is shortened.

    Raises:
        TrainingDiverged: the loss is no number any more, or its gradient is none.
    """
    check_loss(loss)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    shorten_gradient(network)
    optimiser.step()


def check_loss(loss: Tensor) -> None:
    """See that there is something to go down: what was kept before is better than weights of NaN.

    Raises:
        TrainingDiverged: the loss is no number any more.
    """
    if not torch.isfinite(loss):
        raise _diverged("loss became", loss)


def shorten_gradient(network: nn.Module) -> None:
    """To the longest that a step may follow.

    Raises:
        TrainingDiverged: it is infinite or no number: a step would leave weights of NaN behind a loss that was fine.
    """
    length = torch.nn.utils.clip_grad_norm_(network.parameters(), LONGEST_GRADIENT)
    if not torch.isfinite(length):
        raise _diverged("gradient is", length)


def _diverged(what: str, value: Tensor) -> TrainingDiverged:
    return TrainingDiverged(
        f"the {what} {value.item()}: lower --learning-rate; the run folder keeps what was trained before"
    )


def averaged_share(decay: float, done: int) -> float:
    """What an average keeps of itself at a step: less at first, when the network is far from where it will be."""
    return min(decay, (done + 1) / (done + 10))


@torch.no_grad()
def follow(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Move a running average a little towards its network."""
    for mean, now in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
        if mean.is_floating_point():
            mean.lerp_(now, 1 - decay)
        else:
            mean.copy_(now)


def load_checkpoint(path: Path) -> JointNetwork:
    """The averaged network of a training run, in evaluation mode.

    Raises:
        WeightsMismatch: the file is missing, damaged, or no checkpoint of ``narrows train``.
    """
    state = read_stored(path, _WHAT, {"shape", "average"})
    network = JointNetwork(state.rebuilt(NetworkShape, "shape"))
    state.fill(network, "average")
    return network.eval()


def _optimiser(network: JointNetwork, config: TrainingConfig) -> torch.optim.AdamW:
    """Gains and rate model learn faster than the rest, the pretrained trunk slower; norms and biases do not decay."""
    trunk = list(network.encoder.trunk.parameters())
    scales = [*network.gains.parameters(), *network.rate.parameters()]
    known = {id(p) for p in (*trunk, *scales)}
    fresh = [p for p in network.parameters() if id(p) not in known]
    rate = config.learning_rate
    return torch.optim.AdamW(
        [
            {"params": [p for p in fresh if p.ndim > 1], "peak": rate},
            {"params": [p for p in fresh if p.ndim <= 1], "peak": rate, "weight_decay": 0.0},
            {"params": scales, "peak": rate * config.scale_share, "weight_decay": 0.0},
            {"params": [p for p in trunk if p.ndim > 1], "peak": rate * config.trunk_share},
            {"params": [p for p in trunk if p.ndim <= 1], "peak": rate * config.trunk_share, "weight_decay": 0.0},
        ],
        weight_decay=config.weight_decay,
    )
