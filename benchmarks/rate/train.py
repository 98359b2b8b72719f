"""Train everything that ``make bench-rate`` compares; a run that was stopped goes on where it was.

Example: python -m benchmarks.rate.train --checkpoint runs/camvid/checkpoint.pt --data ../shared/data/camvid
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.rate import heads, together, tuning
from benchmarks.rate.codecs import STILLS
from benchmarks.rate.contenders import CONTENDERS, Contender, width_of, write_head
from benchmarks.rate.made_of import digest_of
from benchmarks.rate.plan import FROZEN, JUDGED, QUICK_RUNS, RUNS, Plan, RunFolder, tuned_name
from benchmarks.rate.progress import say
from benchmarks.rate.resnet import NAMES as RESNET_GRAPHS
from benchmarks.rate.resnet import write_resnet_graphs
from benchmarks.rate.together import PAIRS, Pair
from benchmarks.rate.video import VIDEOS, VideoCodec
from benchmarks.rate.views import Parts, Views, make_views, split_train
from benchmarks.resumable import resumable
from benchmarks.unseen import check_unseen
from narrows.models.dataset import ClassList, FolderDataset
from narrows.models.export.counting import count_both, latents_of, with_mirrored
from narrows.models.export.graphs import write_encoder
from narrows.models.export.picture_graphs import MaskAtEdge, write_picture_graph
from narrows.models.nn.network import JointNetwork
from narrows.models.nn.stored import BEGIN_ANEW, read_stored
from narrows.models.training.fitting import TRAINED, fit, groups_of
from narrows.models.training.loss import class_weights
from narrows.models.training.run import load_checkpoint
from narrows.runtime.writing import write_file


def main() -> int:
    options = _options()
    return resumable("make train-rate-table", lambda: train_all(options))


def train_all(options: argparse.Namespace) -> None:
    """Train and export what is missing."""
    folder = RunFolder(options.run or (QUICK_RUNS if options.quick else RUNS))
    plan = _plan(options)
    torch.set_num_threads(options.threads)
    network = load_checkpoint(options.checkpoint)
    data = FolderDataset.open(options.data, "train")
    check_unseen(options.checkpoint.parent, FolderDataset.open(options.data, JUDGED).names)
    folder.make()
    parts = split_train(data, plan)
    plan.keep(folder, options.checkpoint, data.classes.names, digest_of((*parts.train, *parts.held)))
    make_views(network, parts, data.classes.size, plan, folder.views, options.checkpoint, say)
    setup = _setup(network, parts, folder, data.classes)
    training = ComparisonTraining(network, parts, setup, plan, folder)
    if options.part != "pictures":
        training.export_what_is_given()
    jobs = [
        *(training.head_jobs() if options.part != "pictures" else ()),
        *(training.pair_jobs() if options.part != "pictures" else ()),
        *(training.picture_jobs() if options.part != "heads" else ()),
    ]
    for number, (name, job) in enumerate(jobs, 1):
        say(f"job {number}/{len(jobs)}: {name}")
        job()
    say(f"done: next `make bench-rate ARGS='--run {folder.root} --data {options.data}'`")


def _options() -> argparse.Namespace:
    default = Plan()
    parser = argparse.ArgumentParser(prog="make train-rate-table", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--checkpoint",
        type=Path,
        required=True,
        help="of a run of `narrows train` that has not seen the split `val`: its encoder is frozen for all",
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data/camvid"), help="labelled folder")
    parser.add_argument("--run", type=Path, help=f"where everything is kept; {RUNS}, or {QUICK_RUNS} if quick")
    parser.add_argument("--head-steps", type=int, default=default.head_steps, help="steps a head and seed")
    parser.add_argument("--codec-steps", type=int, default=default.codec_steps, help="steps a codec and quality")
    parser.add_argument(
        "--together-steps", type=int, default=default.together_steps, help="steps of encoder and decoder together"
    )
    parser.add_argument("--views", type=int, default=default.views, help="of each training picture")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads")
    parser.add_argument(
        "--part", choices=("all", "heads", "pictures"), default="all", help="two processes may share a run"
    )
    parser.add_argument("--quick", action="store_true", help="a few steps of each, in a folder of its own")
    return parser.parse_args()


def _plan(options: argparse.Namespace) -> Plan:
    if options.quick:
        return Plan.quick()
    return replace(
        Plan(),
        head_steps=options.head_steps,
        codec_steps=options.codec_steps,
        together_steps=options.together_steps,
        views=options.views,
    )


def _setup(network: JointNetwork, parts: Parts, folder: RunFolder, classes: ClassList) -> heads.Setup:
    return heads.Setup(
        Views.open(folder.views, "train"),
        Views.open(folder.views, "held"),
        network.gains.log_gain.detach().exp(),
        class_weights((sample.labels for sample in parts.train), len(classes.names)),
        classes,
    )


@dataclass(frozen=True)
class ComparisonTraining:
    """All trainings and exports of a run."""

    network: JointNetwork
    parts: Parts
    setup: heads.Setup
    plan: Plan
    folder: RunFolder

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of pictures and masks."""
        width, height = self.setup.classes.size
        return height, width

    def export_what_is_given(self) -> None:
        """The encoder, the end-to-end decoder, the camera that does all itself, the tables, ResNet-50 for its costs."""
        write_encoder(self.network, self.size, self.folder.graph(FROZEN))
        write_head(self.network, self.network.decoder, self.size, self.folder.graph("end_to_end"))
        write_picture_graph(MaskAtEdge(self.network), self.size, self.folder.graph("mask_at_edge"))
        if not all(self.folder.graph(name).is_file() for name in RESNET_GRAPHS):
            write_resnet_graphs(self.network.shape, self.size, self.folder)
        self._count(FROZEN, self.setup.train.latent[: 2 * len(self.parts.train)], self.setup.gains)

    def _count(self, encoder: str, latents: NDArray[np.float32], gains: Tensor) -> None:
        """The tables of an exported encoder, of its latents of the training pictures, each with its mirror image."""
        if self.folder.tables(encoder).is_file():
            return
        pictures = [sample.picture for sample in self.parts.train]
        tables = count_both(self.folder.graph(encoder), pictures, latents, gains.numpy(), say)
        write_file(self.folder.tables(encoder), tables.to_bytes())

    def head_jobs(self) -> Iterator[tuple[str, Callable[[], None]]]:
        """The heads, seed by seed."""
        for seed in self.plan.seeds:
            for contender in CONTENDERS:
                yield f"{contender.label}, seed {seed}", partial(self.train_head, contender, seed)

    def pair_jobs(self) -> Iterator[tuple[str, Callable[[], None]]]:
        """Encoder and decoder together; after the heads, with one of which a pair begins."""
        for pair in PAIRS:
            yield pair.label, partial(self.train_pair, pair)

    def picture_jobs(self) -> Iterator[tuple[str, Callable[[], None]]]:
        """The network for each codec and quality."""
        for codec in (*STILLS, *VIDEOS):
            for quality in codec.qualities:
                degrade = (
                    tuning.through_video(codec, quality)
                    if isinstance(codec, VideoCodec)
                    else tuning.through(codec, quality)
                )
                name = tuned_name(codec.name, quality)
                yield f"the network for {codec.label} at {quality}", partial(self.tune, name, degrade)

    def train_head(self, contender: Contender, seed: int) -> None:
        """One contender, one seed."""
        name = f"{contender.name}-{seed}"
        if self.folder.graph(name).is_file():
            return
        width = width_of(contender, self.network, self.size, self.folder)
        torch.manual_seed(seed)
        head = contender.build(self.network.shape, width)
        task = heads.head_task(contender, self.setup, self.plan, seed)
        best = fit(
            head,
            groups_of(head),
            heads.recipe_of(self.plan),
            task,
            self.folder.weights(name),
            say,
        )
        write_head(self.network, best, self.size, self.folder.graph(name))

    def train_pair(self, pair: Pair) -> None:
        """One pair."""
        if self.folder.graph(pair.name).is_file():
            return
        started = together.pair_of(self.network, self._trained_head(pair.begins_from))
        task = together.together_task(self.parts, self.setup, self.plan.batch)
        recipe, groups = together.recipe_of(self.plan.together_steps), together.groups_of(started)
        best = fit(started, groups, recipe, task, self.folder.weights(pair.name), say)
        assert isinstance(best, JointNetwork)
        write_encoder(best, self.size, self.folder.graph(pair.encoder))
        pictures = with_mirrored(sample.picture for sample in self.parts.train)
        latents = latents_of(self.folder.graph(pair.encoder), pictures)
        self._count(pair.encoder, latents, best.gains.log_gain.detach().exp())
        write_head(best, best.decoder, self.size, self.folder.graph(pair.name))

    def _trained_head(self, name: str | None) -> nn.Module | None:
        if name is None:
            return None
        contender = next(each for each in CONTENDERS if each.name == name)
        head = contender.build(self.network.shape, 0)
        weights = self.folder.weights(f"{name}-{self.plan.seeds[0]}")
        read_stored(weights, TRAINED, remedy=BEGIN_ANEW).fill(head)
        return head

    def tune(self, name: str, degrade: tuning.Degrade) -> None:
        """The whole network, used to a codec's pictures at one quality."""
        if self.folder.graph(name).is_file():
            return
        task = tuning.tuning_task(self.parts, self.setup, self.plan.batch, degrade)
        started = MaskAtEdge(self.network)
        recipe = tuning.recipe_of(self.plan.codec_steps)
        best = fit(started, tuning.groups_of(started), recipe, task, self.folder.weights(name), say)
        assert isinstance(best, MaskAtEdge)
        write_picture_graph(best, self.size, self.folder.graph(name))


if __name__ == "__main__":
    sys.exit(main())
