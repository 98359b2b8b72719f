"""``narrows pseudo-label``: pictures that nobody labelled become a labelled folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Confidence = Annotated[float, typer.Option(min=0, max=1, help="Below this the label is the ignored one.")]


def pseudo_label(
    *,
    run: Annotated[Path, typer.Option(help="Run folder of `narrows train`: who labels.")],
    data: Annotated[Path, typer.Option(help="Labelled folder it was trained on: its classes.json.")],
    pictures: Annotated[Path, typer.Option(help="Folder of pictures.")],
    out: Annotated[Path, typer.Option(help="Labelled folder to write.")],
    split: Annotated[str, typer.Option(help="Name of the split to write.")] = "train",
    confidence: Confidence = 0.9,
) -> None:
    """Label pictures with a trained network, where it is sure.

    Example: narrows pseudo-label --run runs/camvid --data data/camvid --pictures frames --out data/more
    """
    from narrows.models.dataset import ClassList
    from narrows.models.training.pseudo_labels import write_pseudo_labels
    from narrows.models.training.run import CHECKPOINT, load_checkpoint

    network = load_checkpoint(run / CHECKPOINT)
    classes = ClassList.read(data / "classes.json")
    count = write_pseudo_labels(network, classes, pictures, out, split=split, confidence=confidence, say=typer.echo)
    typer.echo(f"done: {count} pictures in {out}; next: narrows train --data {out} --run runs/more")
