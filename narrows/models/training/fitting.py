"""One recipe for networks that are compared: AdamW, cosine, averaged weights, best on the held-out block.

Each step's randomness hangs on the seed and the step alone, so a training that was stopped goes on as it would have.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from narrows.contract.errors import TrainingDiverged
from narrows.models.nn.stored import BEGIN_ANEW, read_stored, write_stored
from narrows.models.training.rounds import Say, rounds
from narrows.models.training.run import follow, take_step

CHECKS = 2
SAVE_EVERY = 50
"""Steps that a training which is killed does again at most."""
_AVERAGE_DECAY = 0.99
TRAINED = "training of this network"


@dataclass(frozen=True)
class Recipe:
    """What differs between networks."""

    steps: int
    learning_rate: float
    weight_decay: float = 0.02
    warmup_steps: int = 40


@dataclass(frozen=True)
class Task:
    """What is minimised at a step, and how good the averaged network is on the held-out block (more is better)."""

    loss: Callable[[nn.Module, int], Tensor]
    score: Callable[[nn.Module], float]


def groups_of(network: nn.Module) -> list[dict[str, object]]:
    """Everything at the full learning rate; biases and norms without decay."""
    parameters = list(network.parameters())
    return [
        {"params": [p for p in parameters if p.ndim > 1], "share": 1.0},
        {"params": [p for p in parameters if p.ndim <= 1], "share": 1.0, "weight_decay": 0.0},
    ]


def fit(
    network: nn.Module, groups: Sequence[dict[str, Any]], recipe: Recipe, task: Task, path: Path, say: Say
) -> nn.Module:
    """Train, or load what ``path`` holds, and return the chosen averaged network in evaluation mode.

    ``groups`` are the optimiser's, each with a ``share`` of the learning rate.

    Raises:
        WeightsMismatch: what ``path`` holds, or the state beside it, is damaged, or of another network.
        TrainingDiverged: loss or score is no number any more.
    """
    state = _State.start(network, groups, recipe)
    if path.is_file():
        read_stored(path, TRAINED, remedy=BEGIN_ANEW).fill(state.average)
        return _exportable(state.average)
    partial = path.with_suffix(".state.partial")
    if partial.is_file():
        state.load(partial)
    checks = {max(1, recipe.steps * (CHECKS + n) // (2 * CHECKS)) for n in range(1, CHECKS + 1)}
    for step in rounds(path.stem, range(recipe.steps), say, state.step):
        state.advance(task, recipe, step)
        if state.step in checks:
            state.check(task)
        if state.step in checks or state.step % SAVE_EVERY == 0:
            state.save(partial)
    write_stored(state.best, path)
    partial.unlink(missing_ok=True)
    say(f"{path.stem}: {state.best_score:.4f} on the held-out block")
    state.average.load_state_dict(state.best)
    return _exportable(state.average)


def _exportable(network: nn.Module) -> nn.Module:
    """In the plain memory format: from channels_last the exporter makes shapes that only a run of the graph knows."""
    network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # missing from the stubs
    return network


@dataclass
class _State:
    network: nn.Module
    average: nn.Module
    optimiser: torch.optim.AdamW
    step: int
    best_score: float
    best: dict[str, Tensor]

    @classmethod
    def start(cls, network: nn.Module, groups: Sequence[dict[str, Any]], recipe: Recipe) -> _State:
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing from the stubs
        average = copy.deepcopy(network).eval().requires_grad_(requires_grad=False)
        optimiser = torch.optim.AdamW(list(groups), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
        return cls(network, average, optimiser, 0, -math.inf, {})

    def advance(self, task: Task, recipe: Recipe, step: int) -> None:
        warm = min(1.0, (step + 1) / min(recipe.warmup_steps, max(1, recipe.steps // 4)))
        rate = recipe.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * step / recipe.steps))
        for group in self.optimiser.param_groups:
            group["lr"] = rate * group["share"]
        self.network.train()
        loss = task.loss(self.network, step)
        take_step(self.network, self.optimiser, loss)
        self.step = step + 1
        follow(self.average, self.network, min(_AVERAGE_DECAY, self.step / (self.step + 10)))

    def check(self, task: Task) -> None:
        score = task.score(self.average)
        if math.isnan(score):  # no network is better than another by that: none would be kept
            raise TrainingDiverged(f"after {self.step} steps the network's score is no number: lower the learning rate")
        if score > self.best_score:
            self.best_score = score
            self.best = {name: value.clone() for name, value in self.average.state_dict().items()}

    def save(self, path: Path) -> None:
        state = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "best_score": self.best_score,
            "best": self.best,
        }
        write_stored(state, path)

    def load(self, path: Path) -> None:
        names = {"network", "average", "optimiser", "step", "best_score", "best"}
        state = read_stored(path, TRAINED, names, BEGIN_ANEW)
        state.fill(self.network, "network")
        state.fill(self.average, "average")
        state.fill(self.optimiser, "optimiser")
        self.step, self.best_score, self.best = (state.values[name] for name in ("step", "best_score", "best"))
