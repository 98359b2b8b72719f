"""The training itself: resumable, seeded, with progress and time left.

A run folder holds ``config.json``, ``progress.jsonl`` (a line an epoch), ``training.html`` (its curves) and
``checkpoint.pt``. Starting the same run again goes on after the last finished epoch.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from narrows.contract.errors import ConfigError, DatasetError
from narrows.models.nn.promptable import STUDENT, TEACHER, PromptableNetwork
from narrows.models.promptable.config import PromptableConfig, Source
from narrows.models.promptable.data import open_instances, without_fold
from narrows.models.promptable.data.instances import read_all
from narrows.models.promptable.loss import mask_loss
from narrows.models.promptable.run import PromptableRun, load_trained
from narrows.models.promptable.taught import TaughtMasks, Thing
from narrows.models.promptable.views import View, draw_view
from narrows.models.training.augment import DEVIATION, MEAN
from narrows.models.training.loop import set_learning_rate
from narrows.models.training.progress import Record, append_record, read_records
from narrows.models.training.run import CHECKPOINT, averaged_share, take_step
from narrows.models.training.run_folder import CONFIG, keep_settings, locked
from narrows.models.training.run_page import write_run_page

Say = Callable[[str], None]
_MAY_CHANGE = frozenset({"epochs", "pretrained", "begin_from", "bfloat16", "threads"})
"""What a run that goes on may be given another of."""


@dataclass(frozen=True)
class _Things:
    """The things of one source."""

    source: Source
    held: list[Thing]


def train_promptable(config: PromptableConfig, run_folder: Path, say: Say = print) -> Path:
    """Train to the last epoch and return the checkpoint's path.

    Raises:
        DatasetError: a source is not in its layout, or has nothing in it.
        WeightsMismatch: weights to begin with, or the checkpoint, are of another network.
        ConfigError: the run folder is another command's, was begun with other options, or is in use; an epoch has no
            step.
    """
    if config.views < config.batch:
        raise ConfigError(f"--views {config.views} are less than one --batch of {config.batch}: an epoch has no step")
    torch.set_num_threads(config.threads)
    with locked(run_folder):
        return _train(config, run_folder, say)


def _train(config: PromptableConfig, run_folder: Path, say: Say) -> Path:
    checkpoint = run_folder / CHECKPOINT
    keep_settings(run_folder / CONFIG, asdict(config), may_change=_MAY_CHANGE, begun=checkpoint.is_file())
    run = PromptableRun.begin(_network(config), config)
    if checkpoint.is_file():
        run.load(checkpoint)
        say(f"resuming {run_folder} after epoch {run.epoch}")
    sources = _read_sources(config, say)
    taught = None if config.teacher is None else TaughtMasks.open(config.teacher)
    while run.epoch < config.epochs:
        began = time.monotonic()
        record = _epoch(run, config, sources, taught)
        run.epoch += 1
        append_record(run_folder, record | {"epoch": run.epoch, "seconds": round(time.monotonic() - began, 1)})
        run.save(checkpoint)
        if taught is not None:
            taught.save()
        write_run_page(run_folder, config.epochs, partial(_seconds_left, config.epochs), asdict(config))
        records = read_records(run_folder)
        left = _seconds_left(config.epochs, records) / 60
        say(f"epoch {run.epoch}/{config.epochs}  {json.dumps(records[-1])}  about {left:.0f} min left")
    return checkpoint


def _seconds_left(epochs: int, records: Sequence[Record]) -> float:
    recent = records[-5:]
    left: int = epochs - records[-1]["epoch"]
    return left * float(np.mean([record["seconds"] for record in recent]))


def _network(config: PromptableConfig) -> PromptableNetwork:
    torch.manual_seed(config.seed)
    network = PromptableNetwork(TEACHER if config.large else STUDENT)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing from the stubs
    if config.pretrained:
        network.load_imagenet(config.pretrained)
    if config.begin_from:
        network.load_state_dict(load_trained(config.begin_from).network.state_dict())
    return network


def _read_sources(config: PromptableConfig, say: Say) -> list[_Things]:
    return [_read_source(config, place, say) for place in range(len(config.sources))]


def _read_source(config: PromptableConfig, place: int, say: Say) -> _Things:
    source = config.sources[place]
    dataset = open_instances(source.root, source.layout, source.split)
    names = dataset.names if config.fold is None else without_fold(dataset.names, config.fold)
    held = [(picture, instance) for picture in read_all(dataset, names) for instance in picture.instances]
    if not held:
        raise DatasetError(f"{source.root}, split {source.split}: no picture has anything to tap")
    say(f"{len(held)} things in {len(names)} pictures of {source.root}, split {source.split}")
    return _Things(source, held)


def _epoch(
    run: PromptableRun, config: PromptableConfig, sources: list[_Things], taught: TaughtMasks | None
) -> dict[str, float]:
    chance = np.random.default_rng([config.seed, run.epoch])
    steps = config.views // config.batch
    losses, overlaps = [], []
    run.network.train()
    for step, (views, things) in enumerate(_batches(sources, steps, config, run.network.shape.size, chance)):
        done = run.epoch * steps + step
        set_learning_rate(run.optimiser, done, config.epochs * steps, config.warmup_steps)
        inputs, target = tensors_of(views)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=config.bfloat16):
            logits = run.network(inputs)
        told = None if taught is None else taught.tensors(things, views)
        loss = mask_loss(logits, target, told, config.taught_share)
        take_step(run.network, run.optimiser, loss)
        run.follow(averaged_share(config.average_decay, done))
        losses.append(loss.item())
        overlaps.append(_overlap(logits.detach(), target))
    return {"loss": round(float(np.mean(losses)), 4), "iou": round(float(np.mean(overlaps)), 4)}


def _batches(
    sources: list[_Things], steps: int, config: PromptableConfig, size: int, chance: np.random.Generator
) -> Iterator[tuple[list[View], list[Thing]]]:
    weights = np.array([things.source.weight for things in sources])
    for _ in range(steps):
        picked = chance.choice(len(sources), config.batch, p=weights / weights.sum())
        drawn = [_drawn(sources[place], size, chance) for place in picked]
        yield [view for _, view in drawn], [thing for thing, _ in drawn]


def _drawn(things: _Things, size: int, chance: np.random.Generator) -> tuple[Thing, View]:
    thing = things.held[int(chance.integers(len(things.held)))]
    return thing, draw_view(*thing, size, chance, parts=things.source.parts)


def tensors_of(views: list[View]) -> tuple[Tensor, Tensor]:
    """A batch: normalised inputs ``(N, 6, size, size)`` and targets ``(N, 1, size, size)``, float32."""
    inputs = torch.from_numpy(np.stack([view.inputs for view in views])).float().sub_(MEAN).div_(DEVIATION)
    target = torch.from_numpy(np.stack([view.target for view in views])[:, None]).float().div_(255)
    return inputs.to(memory_format=torch.channels_last), target


def _overlap(logits: Tensor, target: Tensor) -> float:
    """Mean IoU of what is above 0 with what is mostly thing."""
    said, true = logits > 0, target > 0.5
    both, either = (said & true).sum(dim=(1, 2, 3)), (said | true).sum(dim=(1, 2, 3))
    return float((both / either.clamp_min(1)).mean())
