"""The training itself: resumable, seeded, with progress, and a run folder that tells what happened.

A run folder holds ``config.json``, ``progress.jsonl`` (a line an epoch) and ``checkpoint.pt``. Starting the
same run again goes on after the last finished epoch.
"""

from __future__ import annotations

import copy
import json
import math
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from narrows.dataset import FolderDataset, LabelledPicture
from narrows.nn.network import JointNetwork, NetworkShape
from narrows.training.augment import Augmentation, augment
from narrows.training.config import Phase, TrainingConfig
from narrows.training.loss import class_weights, rate_distortion_loss

CHECKPOINT = "checkpoint.pt"
Say = Callable[[str], None]


@dataclass
class Run:
    """A training in progress: what a checkpoint holds."""

    network: JointNetwork
    average: JointNetwork
    optimiser: torch.optim.AdamW
    epoch: int = 0

    def save(self, path: Path) -> None:
        """Write a checkpoint that is whole or absent, whenever the process is killed."""
        state = {
            "shape": vars(self.network.shape),
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "epoch": self.epoch,
        }
        partial = path.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(path)

    def load(self, path: Path) -> None:
        """Go on where :meth:`save` left off."""
        state = torch.load(path, map_location="cpu", weights_only=True)
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.epoch = state["epoch"]


def train(config: TrainingConfig, run_folder: Path, say: Say = print) -> Path:
    """Train to the end of the last phase and return the checkpoint's path.

    Raises:
        DatasetError: the data are not in the documented layout.
        WeightsMismatch: the pretrained weights are of another network.
    """
    if config.threads:
        torch.set_num_threads(config.threads)
    run_folder.mkdir(parents=True, exist_ok=True)
    config.write(run_folder / "config.json")
    dataset = FolderDataset.open(config.data, config.split)
    samples = list(dataset)
    run = _start(config, len(dataset.classes.names))
    checkpoint = run_folder / CHECKPOINT
    if checkpoint.is_file():
        run.load(checkpoint)
        say(f"resuming {run_folder} after epoch {run.epoch}")
    weights = class_weights((s.labels for s in samples), len(dataset.classes.names))
    steps = math.ceil(len(samples) / config.batch)
    epochs = sum(phase.epochs for phase in config.phases)
    while run.epoch < epochs:
        began = time.monotonic()
        record = _epoch(run, config, samples, weights, dataset.classes.ignore_index, steps, epochs)
        run.epoch += 1
        run.save(checkpoint)
        record |= {"epoch": run.epoch, "seconds": round(time.monotonic() - began, 1)}
        with (run_folder / "progress.jsonl").open("a") as log:
            log.write(json.dumps(record) + "\n")
        left = (epochs - run.epoch) * record["seconds"] / 60
        say(f"epoch {run.epoch}/{epochs}  {json.dumps(record)}  about {left:.0f} min left")
    return checkpoint


def _start(config: TrainingConfig, classes: int) -> Run:
    torch.manual_seed(config.seed)
    shape = NetworkShape(classes, config.latent_channels, len(config.prices))
    network = JointNetwork(shape)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing from the stubs
    if config.pretrained:
        network.encoder.trunk.load_imagenet(config.pretrained)
    average = copy.deepcopy(network).eval().requires_grad_(False)
    trunk = list(network.encoder.trunk.parameters())
    scales = [*network.gains.parameters(), *network.rate.parameters()]
    known = {id(p) for p in (*trunk, *scales)}
    fresh = [p for p in network.parameters() if id(p) not in known]
    rate = config.learning_rate
    optimiser = torch.optim.AdamW(
        [
            {"params": [p for p in fresh if p.ndim > 1], "peak": rate},
            {"params": [p for p in fresh if p.ndim <= 1], "peak": rate, "weight_decay": 0.0},
            {"params": scales, "peak": rate * config.scale_share, "weight_decay": 0.0},
            {"params": trunk, "peak": rate * config.trunk_share},
        ],
        weight_decay=config.weight_decay,
    )
    return Run(network, average, optimiser)


def _phase_of(config: TrainingConfig, epoch: int) -> Phase:
    for phase in config.phases:
        if epoch < phase.epochs:
            return phase
        epoch -= phase.epochs
    return config.phases[-1]


def _epoch(
    run: Run,
    config: TrainingConfig,
    samples: list[LabelledPicture],
    weights: Tensor,
    ignore_index: int,
    steps: int,
    epochs: int,
) -> dict[str, float]:
    phase = _phase_of(config, run.epoch)
    chance = random.Random(config.seed * 1000 + run.epoch)
    torch.manual_seed(config.seed * 1000 + run.epoch)
    price = torch.tensor(config.prices)
    rounded = run.epoch >= epochs * (1 - config.rounded_tail)
    losses, tasks = [], []
    rates = torch.zeros(len(config.prices), 2)
    run.network.train()
    for step, (pictures, labels) in enumerate(_batches(samples, config.batch, phase, chance)):
        done = run.epoch * steps + step
        _set_learning_rate(run.optimiser, done, epochs * steps, config.warmup_steps)
        level = torch.randint(len(config.prices), (len(pictures),))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            outcome = run.network(pictures, level, rounded_rate=rounded)
        loss, task, bits = rate_distortion_loss(
            outcome, labels, level, weights=weights, price=price, ignore_index=ignore_index
        )
        run.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(run.network.parameters(), 5.0)
        run.optimiser.step()
        _average(run.average, run.network, min(config.average_decay, (done + 1) / (done + 10)))
        losses.append(loss.item())
        tasks.append(task.item())
        rates.index_add_(0, level, torch.stack([bits, torch.ones_like(bits)], dim=1))
    by_level = (rates[:, 0] / rates[:, 1].clamp_min(1)).tolist()
    return {
        "loss": round(float(np.mean(losses)), 4),
        "task": round(float(np.mean(tasks)), 4),
        **{f"bpp{i}": round(v, 4) for i, v in enumerate(by_level)},
    }


def _batches(
    samples: list[LabelledPicture], batch: int, phase: Phase, chance: random.Random
) -> Iterator[tuple[Tensor, Tensor]]:
    how = Augmentation(phase.size, phase.zoom)
    order = list(samples)
    chance.shuffle(order)
    for start in range(0, len(order), batch):
        views = [augment(sample, how, chance) for sample in order[start : start + batch]]
        pictures = torch.from_numpy(np.stack([v[0] for v in views])).to(memory_format=torch.channels_last)
        yield pictures, torch.from_numpy(np.stack([v[1] for v in views]))


def _set_learning_rate(optimiser: torch.optim.Optimizer, step: int, total: int, warmup: int) -> None:
    share = min(1.0, (step + 1) / warmup) * 0.5 * (1 + math.cos(math.pi * step / total))
    for group in optimiser.param_groups:
        group["lr"] = group["peak"] * share


@torch.no_grad()
def _average(average: JointNetwork, network: JointNetwork, decay: float) -> None:
    for mean, now in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
        if mean.is_floating_point():
            mean.lerp_(now, 1 - decay)
        else:
            mean.copy_(now)
