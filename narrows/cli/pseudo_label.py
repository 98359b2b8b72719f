"""``narrows pseudo-label``: pictures that nobody labelled become a labelled folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from narrows.cli.written_paths import folder_to_write

Confidence = Annotated[float, typer.Option(min=0, max=1, help="Below this the label is the ignored one.")]
CityscapesWeights = Annotated[
    Path | None,
    typer.Option(help="Weights of ESPNetv2 2.0 for Cityscapes (sacmehta/EdgeNets): who labels, with the 19 classes."),
]
Truth = Annotated[
    Path | None, typer.Option(help="Labelled folder of the same pictures: what people say corrects the network.")
]
SameClasses = Annotated[
    Path | None,
    typer.Option(help="JSON object, the network's class: the ground truth's. What people labelled as these is right."),
]
AsClasses = Annotated[
    Path | None,
    typer.Option(help="JSON object, the network's class: the data's, where they differ; several may be one."),
]


def pseudo_label(
    *,
    data: Annotated[Path, typer.Option(help="Labelled folder whose classes.json says what labels mean.")],
    pictures: Annotated[Path, typer.Option(help="Folder of pictures.")],
    out: Annotated[Path, typer.Option(callback=folder_to_write, help="Labelled folder to write.")],
    split: Annotated[str, typer.Option(help="Name of the split to write.")] = "train",
    confidence: Confidence = 0.9,
    run: Annotated[Path | None, typer.Option(help="Run folder of `narrows train`: who labels.")] = None,
    cityscapes_weights: CityscapesWeights = None,
    as_classes: AsClasses = None,
    ground_truth: Truth = None,
    same_classes: SameClasses = None,
) -> None:
    """Label pictures with a trained network, where it is sure; or as people did, where they labelled them too.

    Example: narrows pseudo-label --run runs/camvid --data data/camvid --pictures frames --out data/more
    """
    from narrows.contract.errors import ConfigError
    from narrows.models.dataset import ClassList
    from narrows.models.nn.espnetv2 import ESPNetV2
    from narrows.models.training.ground_truth import GroundTruth
    from narrows.models.training.labellers import cityscapes_labeller, labeller_of_run
    from narrows.models.training.origin import name_of
    from narrows.models.training.pseudo_labels import write_pseudo_labels

    if (run is None) == (cityscapes_weights is None):
        raise ConfigError("say who labels: --run or --cityscapes-weights, one of the two")
    classes, truth = ClassList.read(data / "classes.json"), None
    if ground_truth is not None and same_classes is not None:
        truth = GroundTruth.open(ground_truth, split, same_classes, classes)
    elif ground_truth is not None or same_classes is not None:
        raise ConfigError("--ground-truth and --same-classes go together: labels, and which of their classes are meant")
    learnt = None
    if run is not None:
        learnt = name_of(run)
        labeller = labeller_of_run(run, classes, data, as_classes)
    elif cityscapes_weights is not None:
        labeller = cityscapes_labeller(ESPNetV2.load(cityscapes_weights), classes, as_classes)
    count = write_pseudo_labels(
        labeller,
        classes,
        pictures,
        out,
        split=split,
        confidence=confidence,
        say=typer.echo,
        truth=truth,
        learnt=learnt,
    )
    typer.echo(f"done: {count} pictures in {out}; next: narrows train --data {out} --run runs/more")
