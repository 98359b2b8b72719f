"""A training in progress, as its run folder keeps it: whole after every epoch, whenever the process is killed."""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from narrows.contract.errors import WeightsMismatch
from narrows.models.nn.promptable import PromptableNetwork, PromptableShape
from narrows.models.nn.stored import Stored, read_stored, write_stored
from narrows.models.promptable.config import PromptableConfig
from narrows.models.training.run import CHECKPOINT, follow


@dataclass
class PromptableRun:
    """The network, its running average, which is what is shipped, and the optimiser."""

    network: PromptableNetwork
    average: PromptableNetwork
    optimiser: torch.optim.AdamW
    fold: int | None
    epoch: int = 0

    @classmethod
    def begin(cls, network: PromptableNetwork, config: PromptableConfig) -> PromptableRun:
        """A run of ``network`` as it is, at epoch 0."""
        average = copy.deepcopy(network).eval().requires_grad_(requires_grad=False)
        return cls(network, average, _optimiser(network, config), config.fold)

    def save(self, path: Path) -> None:
        """Write a checkpoint that is whole or absent."""
        state = {
            "promptable": asdict(self.network.shape),
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "fold": self.fold,
            "epoch": self.epoch,
        }
        write_stored(state, path)

    def load(self, path: Path) -> None:
        """Go on where :meth:`save` left off.

        Raises:
            WeightsMismatch: the checkpoint is of another network or another fold.
        """
        state = _read(path)
        if _shape(state) != self.network.shape or state.values["fold"] != self.fold:
            raise WeightsMismatch(
                f"{path} holds fold {state.values['fold']} of {_shape(state)}; this run wants fold {self.fold} of "
                f"{self.network.shape}: choose another run folder"
            )
        state.fill(self.network, "network")
        state.fill(self.average, "average")
        state.fill(self.optimiser, "optimiser")
        self.epoch = int(state.values["epoch"])

    def follow(self, decay: float) -> None:
        """Move the average a little towards the network."""
        follow(self.average, self.network, decay)


@dataclass(frozen=True)
class Trained:
    """What a run folder has come to: the averaged network in evaluation mode, the fold it never saw, its epochs."""

    network: PromptableNetwork
    fold: int | None
    epochs: int


def load_trained(run: Path) -> Trained:
    """The averaged network of a run folder.

    Raises:
        WeightsMismatch: there is no checkpoint of ``narrows promptable train``.
    """
    state = _read(run / CHECKPOINT)
    network = PromptableNetwork(_shape(state))
    state.fill(network, "average")
    return Trained(network.eval(), state.values["fold"], state.values["epoch"])


def _read(path: Path) -> Stored:
    names = {"promptable", "network", "average", "optimiser", "epoch", "fold"}
    return read_stored(path, "checkpoint of `narrows promptable train`", names)


def _shape(state: Stored) -> PromptableShape:
    return state.rebuilt(PromptableShape, "promptable")


def _optimiser(network: PromptableNetwork, config: PromptableConfig) -> torch.optim.AdamW:
    """Norms and biases do not decay. The trunk learns as fast as the rest: no pretraining has told it of prompts."""
    parameters, rate = list(network.parameters()), config.learning_rate
    return torch.optim.AdamW(
        [
            {"params": [p for p in parameters if p.ndim > 1], "peak": rate},
            {"params": [p for p in parameters if p.ndim <= 1], "peak": rate, "weight_decay": 0.0},
        ],
        weight_decay=config.weight_decay,
    )
