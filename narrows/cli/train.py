"""``narrows train``: a labelled folder becomes a run folder with a checkpoint."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from narrows.cli.number_options import MOST_SEED, MOST_THREADS
from narrows.models.training.config import UNSTATED

Epochs = Annotated[int, typer.Option(min=0, help="Epochs at two thirds of the size.")]
LeaveOut = Annotated[str | None, typer.Option(help="Samples never to see, as a shell pattern of names: '0006R0_*'.")]
CheckShare = Annotated[
    float, typer.Option(min=0, max=0.5, help="Share of each drive's frames to measure mIoU on, not to train on.")
]
BadShare = Annotated[
    float,
    typer.Option(min=0, max=1, help="Share of views that are bad pictures: noise, blur, dark, glare, rain, JPEG."),
]
QuantisationAware = Annotated[bool, typer.Option(help="Round the encoder as export will: it learns to be int8.")]
BeginFrom = Annotated[
    Path | None,
    typer.Option(help="Bundle or run folder to go on from; a run for other classes lends all but its classifier."),
]
FrozenNorms = Annotated[bool, typer.Option(help="Keep batch norms' statistics: for short runs from a bundle.")]
LearningRate = Annotated[float, typer.Option(min=0, help="Its peak; half of the default goes on from a bundle.")]
FullEpochs = Annotated[int, typer.Option(min=0, help="Epochs at full size that follow: thin things are learned here.")]


class Device(StrEnum):
    """Where tensors live."""

    CPU = "cpu"
    CUDA = "cuda"


def train(
    *,
    data: Annotated[Path, typer.Option(help="Labelled folder (classes.json, SPLIT.txt, images/, labels/).")],
    run: Annotated[Path, typer.Option(help="Run folder; a run that was stopped goes on from its last epoch.")],
    split: Annotated[str, typer.Option(help="Split to train on.")] = "train",
    leave_out: LeaveOut = None,
    check_share: CheckShare = 0.1,
    bad_share: BadShare = 0.5,
    pretrained: Annotated[Path | None, typer.Option(help="EfficientNet-Lite0 ImageNet weights (.pth).")] = None,
    begin_from: BeginFrom = None,
    frozen_norms: FrozenNorms = False,
    quantisation_aware: QuantisationAware = False,
    epochs: Epochs = 45,
    full_epochs: FullEpochs = 45,
    learning_rate: LearningRate = 1.2e-3,
    batch: Annotated[int, typer.Option(min=1, help="Pictures a step.")] = 8,
    latent_channels: Annotated[int, typer.Option(min=1, max=1024, help="Channels of the bottleneck.")] = 48,
    teacher: Annotated[Path | None, typer.Option(help="Run folder or bundle of a network to learn from too.")] = None,
    teacher_share: Annotated[float, typer.Option(min=0, help="How much its logits count beside the labels.")] = 1.0,
    feature_share: Annotated[float, typer.Option(min=0, help="How much its features count.")] = 0.0,
    device: Annotated[Device, typer.Option(help="What to train on.")] = Device.CPU,
    bfloat16: Annotated[bool, typer.Option(help="Half the bits where it helps.")] = True,
    threads: Annotated[int, typer.Option(min=0, max=MOST_THREADS, help="CPU threads; 0 takes all.")] = 0,
    seed: Annotated[int, typer.Option(min=0, max=MOST_SEED, help="Everything random hangs on it.")] = 20260720,
    licence: Annotated[
        str, typer.Option(help="Terms of the data and so of the weights, for the model card.")
    ] = UNSTATED,
) -> None:
    """Train a camera-side encoder and a joint decoder on a labelled folder.

    RUN/training.html shows loss, mIoU and bits while it runs: open it in a browser.

    Example: narrows train --data data/camvid --run runs/camvid --pretrained efficientnet-lite0.pth
    """
    from narrows.models.dataset import FolderDataset
    from narrows.models.training.config import TrainingConfig, phases_for
    from narrows.models.training.loop import train as train_network

    width, height = FolderDataset.open(data, split).without_named(leave_out).classes.size
    config = TrainingConfig(
        data=data,
        split=split,
        leave_out=leave_out,
        check_share=check_share,
        bad_share=bad_share,
        learning_rate=learning_rate,
        frozen_norms=frozen_norms,
        quantisation_aware=quantisation_aware,
        pretrained=pretrained,
        begin_from=begin_from,
        phases=phases_for((width, height), epochs, full_epochs),
        batch=batch,
        latent_channels=latent_channels,
        teacher=teacher,
        teacher_share=teacher_share,
        feature_share=feature_share,
        device=device.value,
        bfloat16=bfloat16,
        threads=threads,
        seed=seed,
        licence=licence,
    )
    checkpoint = train_network(config, run, typer.echo)
    typer.echo(f"done: {checkpoint}; next: narrows export --run {run} --data {data} --out bundles/mine")
