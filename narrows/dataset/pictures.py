"""Picture and label files into arrays, with errors that name the file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from narrows.errors import DatasetError


@dataclass(frozen=True)
class LabelledPicture:
    """A picture ``(H, W, 3)`` uint8 RGB and its labels ``(H, W)`` uint8."""

    name: str
    picture: NDArray[np.uint8]
    labels: NDArray[np.uint8]


def of_one_size(name: str, picture: NDArray[np.uint8], labels: NDArray[np.uint8], label_path: Path) -> LabelledPicture:
    """A sample whose labels cover its picture.

    Raises:
        DatasetError: they do not.
    """
    if picture.shape[:2] != labels.shape:
        raise DatasetError(f"{label_path} is {labels.shape}, its picture {picture.shape[:2]}: sizes must agree")
    return LabelledPicture(name, picture, labels)


def decode(path: Path, mode: str) -> NDArray[np.uint8]:
    """A file's pixels: ``(H, W, 3)`` for mode RGB, ``(H, W)`` values (or palette indices) for mode L.

    Raises:
        DatasetError: it is missing or broken.
    """
    try:
        with Image.open(path) as image:
            if mode == "L" and image.mode == "P":
                return np.asarray(image, dtype=np.uint8)
            return np.asarray(image.convert(mode), dtype=np.uint8)
    except FileNotFoundError:
        raise DatasetError(f"{path} is missing") from None
    except (UnidentifiedImageError, OSError) as error:
        raise DatasetError(f"{path} cannot be decoded: {error}") from None
