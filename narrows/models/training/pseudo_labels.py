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
from narrows.models.nn.network import JointNetwork
from narrows.models.training.augment import normalise
from narrows.runtime.pictures import PICTURE_SUFFIXES, read_picture

Say = Callable[[str], None]


def write_pseudo_labels(
    network: JointNetwork,
    classes: ClassList,
    pictures: Path,
    out: Path,
    *,
    split: str,
    confidence: float,
    say: Say = print,
) -> int:
    """Label every picture in a folder, at the class list's size, and write a labelled folder; answers how many.

    Raises:
        PictureError: a picture cannot be read.
        DatasetError: the folder holds no picture, or the network knows another number of classes.
    """
    if network.shape.classes != len(classes.names):
        raise DatasetError(
            f"the network knows {network.shape.classes} classes, classes.json names {len(classes.names)}"
        )
    found = sorted(path for path in pictures.iterdir() if path.suffix.lower() in PICTURE_SUFFIXES)
    if not found:
        raise DatasetError(f"{pictures} holds no picture ({', '.join(PICTURE_SUFFIXES)})")
    for kind in ("images", "labels"):
        (out / kind / split).mkdir(parents=True, exist_ok=True)
    for done, path in enumerate(found, start=1):
        picture = np.asarray(Image.fromarray(read_picture(path)).resize(classes.size, Image.Resampling.BILINEAR))
        labels = pseudo_labels(network, picture, confidence, classes.ignore_index)
        Image.fromarray(picture).save(out / "images" / split / f"{path.stem}.png")
        Image.fromarray(labels).save(out / "labels" / split / f"{path.stem}.png")
        if done % 50 == 0 or done == len(found):
            say(f"labelled {done} of {len(found)}")
    (out / f"{split}.txt").write_text("".join(f"{path.stem}\n" for path in found))
    (out / "classes.json").write_text(json.dumps(_listing(classes)) + "\n")
    return len(found)


@torch.no_grad()
def pseudo_labels(
    network: JointNetwork, picture: NDArray[np.uint8], confidence: float, ignore_index: int
) -> NDArray[np.uint8]:
    """Labels ``(H, W)`` uint8 of a picture ``(H, W, 3)``: nothing quantised, ``ignore_index`` below ``confidence``."""
    pixels = torch.from_numpy(normalise(picture))[None]
    logits = network.decoder(network.encoder(pixels), (picture.shape[0], picture.shape[1]))
    sure, label = logits.softmax(dim=1).max(dim=1)
    kept: NDArray[np.uint8] = label.where(sure >= confidence, ignore_index)[0].to(torch.uint8).numpy()
    return kept


def _listing(classes: ClassList) -> dict[str, object]:
    """``classes.json`` with the ignored class, black, at its index."""
    between = max(0, classes.ignore_index - len(classes.names))
    unnamed: Iterable[str] = [*(f"unused{i}" for i in range(between)), "ignored"]
    names = [*classes.names, *unnamed]
    palette = [*(list(colour) for colour in classes.palette), *([0, 0, 0] for _ in names[len(classes.names) :])]
    return {"classes": names, "ignore_index": classes.ignore_index, "size": list(classes.size), "palette": palette}
