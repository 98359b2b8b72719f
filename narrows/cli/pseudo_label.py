"""``narrows pseudo-label``: pictures that nobody labelled become a labelled folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Confidence = Annotated[float, typer.Option(min=0, max=1, help="Below this the label is the ignored one.")]
CityscapesWeights = Annotated[
    Path | None,
    typer.Option(help="Weights of ESPNetv2 2.0 for Cityscapes (sacmehta/EdgeNets): who labels, with the 19 classes."),
]


def pseudo_label(
    *,
    data: Annotated[Path, typer.Option(help="Labelled folder whose classes.json says what labels mean.")],
    pictures: Annotated[Path, typer.Option(help="Folder of pictures.")],
    out: Annotated[Path, typer.Option(help="Labelled folder to write.")],
    split: Annotated[str, typer.Option(help="Name of the split to write.")] = "train",
    confidence: Confidence = 0.9,
    run: Annotated[Path | None, typer.Option(help="Run folder of `narrows train`: who labels.")] = None,
    cityscapes_weights: CityscapesWeights = None,
) -> None:
    """Label pictures with a trained network, where it is sure.

    Example: narrows pseudo-label --run runs/camvid --data data/camvid --pictures frames --out data/more
    """
    from narrows.contract.errors import ConfigError
    from narrows.models.dataset import ClassList
    from narrows.models.nn.espnetv2 import ESPNetV2
    from narrows.models.training.pseudo_labels import cityscapes_labeller, trained_labeller, write_pseudo_labels
    from narrows.models.training.run import CHECKPOINT, load_checkpoint

    if (run is None) == (cityscapes_weights is None):
        raise ConfigError("say who labels: --run or --cityscapes-weights, one of the two")
    classes = ClassList.read(data / "classes.json")
    if run is not None:
        labeller = trained_labeller(load_checkpoint(run / CHECKPOINT))
    elif cityscapes_weights is not None:
        labeller = cityscapes_labeller(ESPNetV2.load(cityscapes_weights), len(classes.names))
    count = write_pseudo_labels(labeller, classes, pictures, out, split=split, confidence=confidence, say=typer.echo)
    typer.echo(f"done: {count} pictures in {out}; next: narrows train --data {out} --run runs/more")
