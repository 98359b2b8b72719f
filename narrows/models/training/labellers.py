"""Trained networks that say what a picture shows, in the classes that are wanted.

A labeller may know other classes than the data: what it gives to several of its own counts for the one that they are.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional

from narrows.contract.errors import WeightsMismatch
from narrows.models.dataset import ClassList
from narrows.models.dataset.cityscapes import CLASS_LIST
from narrows.models.nn.espnetv2 import MULTIPLE, ESPNetV2
from narrows.models.nn.network import JointNetwork
from narrows.models.training.augment import normalise
from narrows.models.training.class_names import place_of, read_class_names
from narrows.models.training.known_classes import check_known, known_classes
from narrows.models.training.run import CHECKPOINT, load_checkpoint

Labeller = Callable[[NDArray[np.uint8]], Tensor]
"""A picture ``(H, W, 3)`` uint8 to probabilities ``(classes, H, W)``."""
TEACHER_ZOOM = 4 / 3
"""How much larger a Cityscapes network is shown the picture: at CamVid's own size it misses what is thin."""


def trained_labeller(network: JointNetwork) -> Labeller:
    """A network of ``narrows train``, with nothing quantised."""

    def label(picture: NDArray[np.uint8]) -> Tensor:
        pixels = torch.from_numpy(normalise(picture))[None]
        logits: Tensor = network.decoder(network.encoder(pixels), (picture.shape[0], picture.shape[1]))
        return logits.softmax(dim=1)[0]

    return label


def labeller_of_run(run_folder: Path, classes: ClassList, data: Path, as_classes: Path | None = None) -> Labeller:
    """The network of a run folder, for labels as the class list of ``data`` has them.

    Raises:
        WeightsMismatch: it knows other classes, and no ``as_classes`` says which of its are which; or the folder holds
            no training, or one of before runs kept their classes.
        DatasetError: as :func:`merged`.
    """
    if as_classes is None:
        check_known(run_folder, classes.names, data)
    labeller = trained_labeller(load_checkpoint(run_folder / CHECKPOINT))
    if as_classes is None:
        return labeller
    theirs = known_classes(run_folder)
    if theirs is None:
        raise WeightsMismatch(f"{run_folder} does not say which classes it knows: label with a younger run")
    return merged(labeller, theirs, as_classes, classes)


def cityscapes_labeller(network: ESPNetV2, classes: ClassList, as_classes: Path | None = None) -> Labeller:
    """A published network: the picture enlarged for it, its answer brought back.

    Without ``as_classes`` labels are Cityscapes' 19 classes, in their order.

    Raises:
        WeightsMismatch: ``classes`` are others, and no ``as_classes`` says which are which.
        DatasetError: as :func:`merged`.
    """
    if as_classes is None and tuple(name.replace("_", " ") for name in classes.names) != CLASS_LIST.names:
        raise WeightsMismatch(
            f"a Cityscapes network segments {', '.join(CLASS_LIST.names)}; wanted are {', '.join(classes.names)}: say "
            f"by --as-classes which are which"
        )

    def label(picture: NDArray[np.uint8]) -> Tensor:
        height, width = picture.shape[0], picture.shape[1]
        size = round(width * TEACHER_ZOOM / MULTIPLE) * MULTIPLE, round(height * TEACHER_ZOOM / MULTIPLE) * MULTIPLE
        shown = np.array(Image.fromarray(picture).resize(size, Image.Resampling.BILINEAR))
        logits = network(torch.from_numpy(shown).permute(2, 0, 1)[None].float() / 255)[:, : len(CLASS_LIST.names)]
        probability = logits.softmax(dim=1)
        return functional.interpolate(probability, size=(height, width), mode="bilinear", align_corners=False)[0]

    return label if as_classes is None else merged(label, CLASS_LIST.names, as_classes, classes)


def merged(labeller: Labeller, theirs: tuple[str, ...], as_classes: Path, classes: ClassList) -> Labeller:
    """A labeller for ``classes``, whose probabilities are sums of another's.

    What shows a class that stands for none is unlikely to be any of the others, so it has no label at a confidence
    above a half.

    Args:
        labeller: answers probabilities ``(len(theirs), H, W)``.
        theirs: its classes.
        as_classes: file with a JSON object, names of its classes to those of ``classes``.
        classes: wanted.

    Raises:
        DatasetError: the file cannot be read, or a name in it is no class.
    """
    sums = torch.zeros(len(classes.names), len(theirs))
    for name, stands_for in read_class_names(as_classes).items():
        sums[place_of(stands_for, classes.names, as_classes), place_of(name, theirs, as_classes)] = 1

    def label(picture: NDArray[np.uint8]) -> Tensor:
        return torch.einsum("oc,chw->ohw", sums, labeller(picture))

    return label
