"""``narrows train``: a labelled folder becomes a run folder with a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Epochs = Annotated[int, typer.Option(min=1, help="Epochs at half size; one tenth as many follow at full size.")]


def train(
    data: Annotated[Path, typer.Option(help="Labelled folder (classes.json, SPLIT.txt, images/, labels/).")],
    run: Annotated[Path, typer.Option(help="Run folder; a run that was stopped goes on from its last epoch.")],
    split: Annotated[str, typer.Option(help="Split to train on.")] = "train",
    pretrained: Annotated[Path | None, typer.Option(help="EfficientNet-Lite0 ImageNet weights (.pth).")] = None,
    epochs: Epochs = 60,
    batch: Annotated[int, typer.Option(min=1, help="Pictures a step.")] = 8,
    latent_channels: Annotated[int, typer.Option(min=1, help="Channels of the bottleneck.")] = 48,
    threads: Annotated[int, typer.Option(min=0, help="CPU threads; 0 takes all.")] = 0,
    seed: Annotated[int, typer.Option(help="Everything random hangs on it.")] = 20260720,
) -> None:
    """Train a camera-side encoder and a joint decoder on a labelled folder.

    Example: narrows train --data data/camvid --run runs/camvid --pretrained efficientnet-lite0.pth
    """
    from narrows.dataset import FolderDataset
    from narrows.training.config import TrainingConfig, phases_for
    from narrows.training.loop import train as train_network

    width, height = FolderDataset.open(data, split).classes.size
    config = TrainingConfig(
        data=data,
        split=split,
        pretrained=pretrained,
        phases=phases_for((width, height), epochs),
        batch=batch,
        latent_channels=latent_channels,
        threads=threads,
        seed=seed,
    )
    checkpoint = train_network(config, run, typer.echo)
    typer.echo(f"done: {checkpoint}; next: narrows export --run {run} --data {data} --out bundles/mine")
