"""The training itself: resumable, seeded, with progress, and a run folder that tells what happened.

A run folder holds ``config.json``, ``origin.json``, ``progress.jsonl`` (a line an epoch, and another where it was
checked), ``training.html`` (its curves, to look at while it runs), ``checkpoint.pt`` and, in the end,
``MODEL_CARD.md``. Starting the same run again goes on after the last finished epoch::

    epoch ─► its line ─► checkpoint ─► check, where one is due ─► its line ─► page      killed anywhere: what is
    behind the checkpoint is done again, what is before it is made up for at the next start
"""

from __future__ import annotations

import itertools
import json
import math
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from narrows.contract.errors import ConfigError, DeviceMissing, WeightsMismatch
from narrows.models.dataset import ClassList, FolderDataset, LabelledPicture
from narrows.models.nn.network import JointNetwork, NetworkShape
from narrows.models.training.augment import Augmentation, augment, normalise
from narrows.models.training.beginnings import go_on_from, network_in
from narrows.models.training.check import check, split_off, worsened
from narrows.models.training.config import OF_OLD_RUNS, TrainingConfig
from narrows.models.training.known_classes import check_known
from narrows.models.training.loss import TrainingObjective, class_weights
from narrows.models.training.model_card import write_run_card
from narrows.models.training.origin import keep_origin
from narrows.models.training.progress import Record, append_record, phase_of, read_records, seconds_left
from narrows.models.training.quantisation import forward_rounded, round_activations
from narrows.models.training.run import CHECKPOINT, Run, averaged_share, take_step
from narrows.models.training.run_folder import CONFIG, keep_settings, locked
from narrows.models.training.run_page import write_run_page
from narrows.models.training.teacher import Teacher

SETTLING_PICTURES = 24
PAGE_EVERY_S = 10.0
CHECKS = 12
"""So many times in a run, and after its last epoch, mIoU is measured: a check costs a quarter of an epoch."""
_MAY_CHANGE = frozenset(
    {"phases", "data", "pretrained", "begin_from", "batch", "device", "bfloat16", "threads", "licence"}
)
"""What a run that goes on may be given another of: more epochs, what has moved, what the machine takes."""
Say = Callable[[str], None]


@dataclass(frozen=True)
class _Setup:
    """What stays the same from epoch to epoch."""

    config: TrainingConfig
    classes: ClassList
    samples: list[LabelledPicture]
    checked: list[LabelledPicture]
    objective: TrainingObjective
    teacher: Teacher | None
    device: torch.device

    @property
    def steps(self) -> int:
        return math.ceil(len(self.samples) / self.config.batch)

    def checks_after(self, epoch: int) -> bool:
        every = math.ceil(self.config.epochs / CHECKS)
        return bool(self.checked) and (epoch % every == 0 or epoch == self.config.epochs)


def train(
    config: TrainingConfig,
    run_folder: Path,
    say: Say = print,
    *,
    start: JointNetwork | None = None,
    dataset: FolderDataset | None = None,
) -> Path:
    """Train to the end of the last phase and return the checkpoint's path.

    Args:
        config: how.
        run_folder: where; a run that was stopped goes on.
        say: told of each epoch.
        start: a network to go on from, in place of a fresh one.
        dataset: in place of the split that the configuration names, some of it say.

    Raises:
        DatasetError: the data are not in the documented layout.
        WeightsMismatch: the weights or the bundle to begin from, or the teacher, are of another network.
        DeviceMissing: the device is not there.
        ConfigError: there is no epoch; or the run folder is another command's, was begun with other options, or is
            in use.
        TrainingDiverged: the loss is no number any more.
    """
    if not config.epochs:
        raise ConfigError("no epochs at all: nothing would be trained; give --epochs or --full-epochs")
    if config.threads:
        torch.set_num_threads(config.threads)
    dataset = (dataset or FolderDataset.open(config.data, config.split)).without(config.leave_out)
    with locked(run_folder):
        return _train(config, run_folder, say, start, dataset)


def _train(
    config: TrainingConfig, run_folder: Path, say: Say, start: JointNetwork | None, dataset: FolderDataset
) -> Path:
    checkpoint = run_folder / CHECKPOINT
    goes_on = checkpoint.is_file()
    asked = asdict(config) | {"classes": dataset.classes.names}
    keep_settings(run_folder / CONFIG, asked, may_change=_MAY_CHANGE, begun=goes_on, before=OF_OLD_RUNS)
    keep_origin(run_folder, config.begin_from, begun=goes_on)
    setup = _prepare(config, dataset)
    network = start or _network(config, len(dataset.classes.names))
    if start is None and not goes_on:
        _begin(network, config, setup)
    run = Run.begin(network.to(setup.device), config)
    if config.quantisation_aware:
        round_activations(run.network)
    if goes_on:
        run.load(checkpoint)
        say(f"resuming {run_folder} after epoch {run.epoch}")
        _add_check(run, setup, run_folder)
    draw = partial(write_run_page, run_folder, config.epochs, partial(seconds_left, config), asdict(config))
    drawn_s = -PAGE_EVERY_S
    while run.epoch < config.epochs:
        began = time.monotonic()
        record: Record = _epoch(run, setup)
        run.epoch += 1
        append_record(run_folder, record | {"epoch": run.epoch, "seconds": round(time.monotonic() - began, 1)})
        run.save(checkpoint)
        _add_check(run, setup, run_folder)
        if time.monotonic() - drawn_s >= PAGE_EVERY_S:
            draw()
            drawn_s = time.monotonic()
        records = read_records(run_folder)
        left = seconds_left(config, records) / 60
        say(f"epoch {run.epoch}/{config.epochs}  {json.dumps(records[-1])}  about {left:.0f} min left")
    draw()
    write_run_card(run_folder, config, dataset)
    return checkpoint


def _add_check(run: Run, setup: _Setup, run_folder: Path) -> None:
    """Measure after the last finished epoch what is due, unless its line has that: a check can be killed, too."""
    last = next(iter(read_records(run_folder)[-1:]), None)
    if last is None or last["epoch"] != run.epoch or "miou0" in last or not setup.checks_after(run.epoch):
        return
    began = time.monotonic()
    found = _checked(run, setup)
    append_record(run_folder, last | found | {"seconds": round(last["seconds"] + time.monotonic() - began, 1)})


def _prepare(config: TrainingConfig, dataset: FolderDataset) -> _Setup:
    device = _device(config.device)
    samples, checked = split_off(dataset, config.check_share)
    objective = TrainingObjective(
        weights=class_weights((s.labels for s in samples), len(dataset.classes.names)).to(device),
        price=torch.tensor(config.prices, device=device),
        ignore_index=dataset.classes.ignore_index,
        overlap_share=config.overlap_share,
    )
    teacher = None
    if config.teacher is not None:
        check_known(config.teacher, dataset.classes.names, config.data)
        network, count = network_in(config.teacher, _settling(samples)).to(device), len(dataset.classes.names)
        if network.shape.classes != count:
            raise WeightsMismatch(
                f"--teacher {config.teacher} segments {network.shape.classes} classes, {config.data} has {count}"
            )
        teacher = Teacher(network, config.teacher_share, config.feature_share)
    return _Setup(config, dataset.classes, samples, checked, objective, teacher, device)


def _device(name: str) -> torch.device:
    if name == "cuda" and not torch.cuda.is_available():
        raise DeviceMissing("--device cuda: torch sees no CUDA device here; use --device cpu, or a CUDA build of torch")
    return torch.device(name)


def _network(config: TrainingConfig, classes: int) -> JointNetwork:
    torch.manual_seed(config.seed)
    network = JointNetwork(NetworkShape(classes, config.latent_channels, len(config.prices)))
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing from the stubs
    return network


def _settling(samples: list[LabelledPicture]) -> Tensor:
    shown = samples[:: max(1, len(samples) // SETTLING_PICTURES)]
    pictures = torch.from_numpy(np.stack([normalise(sample.picture) for sample in shown]))
    return pictures.to(memory_format=torch.channels_last)


def _begin(network: JointNetwork, config: TrainingConfig, setup: _Setup) -> None:
    if config.pretrained:
        network.encoder.trunk.load_imagenet(config.pretrained)
    if config.begin_from:
        go_on_from(network, config.begin_from, _settling(setup.samples), setup.classes.names)


def _checked(run: Run, setup: _Setup) -> Record:
    """MIoU and bits at the finest, the middle and the coarsest level; of bad pictures at the middle one."""
    finest, middle, coarsest = 0, len(setup.config.prices) // 2, len(setup.config.prices) - 1
    good = check(run.average, setup.checked, setup.classes, sorted({finest, middle, coarsest}))
    bad = check(run.average, [worsened(sample) for sample in setup.checked], setup.classes, [middle])
    return {
        f"{prefix}{figure}{level}": round(value, 4)
        for prefix, scores in (("", good), ("bad_", bad))
        for level, score in scores.items()
        for figure, value in (("miou", score.miou), ("checked_bpp", score.bits_per_pixel))
    }


def _epoch(run: Run, setup: _Setup) -> dict[str, float]:
    config, device = setup.config, setup.device
    chance = random.Random(config.seed * 1000 + run.epoch)
    torch.manual_seed(config.seed * 1000 + run.epoch)
    rounded = run.epoch >= setup.config.epochs * (1 - config.rounded_tail)
    losses, tasks = [], []
    rates = torch.zeros(len(config.prices), 2)
    run.network.train()
    if config.frozen_norms:
        _freeze_norms(run.network)
    for step, (seen, truth) in enumerate(_batches(setup.samples, config.batch, _views(config, run.epoch), chance)):
        done = run.epoch * setup.steps + step
        set_learning_rate(run.optimiser, done, setup.config.epochs * setup.steps, config.warmup_steps)
        level = _levels(config, len(seen))
        pictures, labels, at = seen.to(device), truth.to(device), level.to(device)
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=config.bfloat16):
            forward = partial(forward_rounded, run.network) if config.quantisation_aware else run.network
            outcome = forward(pictures, at, rounded_rate=rounded)
            taught = setup.teacher.loss(outcome, pictures) if setup.teacher else None
        parts = setup.objective.loss(outcome, labels, at)
        whole = parts.whole if taught is None else parts.whole + taught
        take_step(run.network, run.optimiser, whole)
        run.follow(averaged_share(config.average_decay, done))
        losses.append(whole.item())
        tasks.append(parts.task.item())
        rates.index_add_(0, level, torch.stack([parts.bits_per_pixel.cpu(), torch.ones(len(level))], dim=1))
    by_level = (rates[:, 0] / rates[:, 1].clamp_min(1)).tolist()
    return {
        "loss": round(float(np.mean(losses)), 4),
        "task": round(float(np.mean(tasks)), 4),
        **{f"bpp{i}": round(v, 4) for i, v in enumerate(by_level)},
    }


def _views(config: TrainingConfig, epoch: int) -> Augmentation:
    phase = phase_of(config, epoch)
    return Augmentation(phase.size, phase.zoom, bad_share=config.bad_share)


def _batches(
    samples: list[LabelledPicture], batch: int, how: Augmentation, chance: random.Random
) -> Iterator[tuple[Tensor, Tensor]]:
    """As few as hold all samples, as large as each other but for one: a rest of one would step as far as eight."""
    order = list(samples)
    chance.shuffle(order)
    count = math.ceil(len(order) / batch)
    bounds = [len(order) * number // count for number in range(count + 1)]
    for start, end in itertools.pairwise(bounds):
        views = [augment(sample, how, chance) for sample in order[start:end]]
        pictures = torch.from_numpy(np.stack([v[0] for v in views])).to(memory_format=torch.channels_last)
        yield pictures, torch.from_numpy(np.stack([v[1] for v in views]))


def _freeze_norms(network: JointNetwork) -> None:
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()


def _levels(config: TrainingConfig, count: int) -> Tensor:
    if config.level_shares is None:
        return torch.randint(len(config.prices), (count,))
    return torch.tensor(config.level_shares).multinomial(count, replacement=True)


def set_learning_rate(optimiser: torch.optim.Optimizer, step: int, total: int, warmup: int) -> None:
    """Each group's peak, less in the first steps and along half a cosine to the end."""
    share = min(1.0, (step + 1) / warmup) * 0.5 * (1 + math.cos(math.pi * step / total))
    for group in optimiser.param_groups:
        group["lr"] = group["peak"] * share
