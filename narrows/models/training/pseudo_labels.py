"""Labels where nobody labelled: what a trained network is sure of, as a labelled folder to train on.

Source: Lee, "Pseudo-Label", ICML workshop 2013; where the network is not sure, the label is the ignored one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from narrows.contract.errors import DatasetError
from narrows.models.dataset import ClassList
from narrows.models.training.ground_truth import GroundTruth
from narrows.models.training.labellers import Labeller
from narrows.models.training.origin import LABELLED_BY
from narrows.runtime.pictures import PICTURE_SUFFIXES, read_picture
from narrows.runtime.writing import write_file

Say = Callable[[str], None]


def write_pseudo_labels(
    labeller: Labeller,
    classes: ClassList,
    pictures: Path,
    out: Path,
    *,
    split: str,
    confidence: float,
    say: Say = print,
    truth: GroundTruth | None = None,
    learnt: str | None = None,
) -> int:
    """Label every picture in a folder, at the class list's size, and write a labelled folder; answers how many.

    Args:
        labeller: who labels.
        classes: that it knows.
        pictures: the folder.
        out: where the labelled folder goes.
        split: its name.
        confidence: below this a label is the ignored one.
        say: hears how far it is.
        truth: corrects it where people labelled the same pictures.
        learnt: whose labels these are, where a network of this project made them: kept beside them, for what it has
            seen in training is in them.

    Raises:
        PictureError: a picture cannot be read.
        DatasetError: the folder is none, holds no picture or two of one name, the network knows another number of
            classes, or people labelled pictures of another size.
    """
    found = _pictures_in(pictures)
    for kind in ("images", "labels"):
        (out / kind / split).mkdir(parents=True, exist_ok=True)
    for done, path in enumerate(found, start=1):
        picture = np.asarray(Image.fromarray(read_picture(path)).resize(classes.size, Image.Resampling.BILINEAR))
        labels = pseudo_labels(labeller, picture, confidence, classes)
        if truth is not None:
            labels = truth.correct(path.stem, labels)
        Image.fromarray(picture).save(out / "images" / split / f"{path.stem}.png")
        Image.fromarray(labels).save(out / "labels" / split / f"{path.stem}.png")
        if done % 50 == 0 or done == len(found):
            say(f"labelled {done} of {len(found)}")
    write_file(out / "classes.json", json.dumps(_listing(classes)) + "\n")
    if learnt is not None:
        write_file(out / LABELLED_BY, f"{learnt}\n")
    write_file(out / f"{split}.txt", "".join(f"{path.stem}\n" for path in found))
    return len(found)


def _pictures_in(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise DatasetError(f"{folder} is no folder of pictures")
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURE_SUFFIXES)
    if not found:
        raise DatasetError(f"{folder} holds no picture ({', '.join(PICTURE_SUFFIXES)})")
    by_name = {path.stem: path for path in found}
    if twice := [path for path in found if by_name[path.stem] != path]:
        raise DatasetError(f"{twice[0]} and {by_name[twice[0].stem].name} would be one sample: rename one of them")
    return found


@torch.no_grad()
def pseudo_labels(
    labeller: Labeller, picture: NDArray[np.uint8], confidence: float, classes: ClassList
) -> NDArray[np.uint8]:
    """Labels ``(H, W)`` uint8 of a picture ``(H, W, 3)``: the ignored class where the labeller is not sure.

    Raises:
        DatasetError: it knows another number of classes.
    """
    probability = labeller(picture)
    if len(probability) != len(classes.names):
        raise DatasetError(f"the network knows {len(probability)} classes, classes.json names {len(classes.names)}")
    sure, label = probability.max(dim=0)
    kept: NDArray[np.uint8] = label.where(sure >= confidence, classes.ignore_index).to(torch.uint8).numpy()
    return kept


def _listing(classes: ClassList) -> dict[str, object]:
    """``classes.json`` with the ignored class, black, at its index."""
    between = max(0, classes.ignore_index - len(classes.names))
    unnamed: Iterable[str] = [*(f"unused{i}" for i in range(between)), "ignored"]
    names = [*classes.names, *unnamed]
    palette = [*(list(colour) for colour in classes.palette), *([0, 0, 0] for _ in names[len(classes.names) :])]
    return {"classes": names, "ignore_index": classes.ignore_index, "size": list(classes.size), "palette": palette}
