"""A picture and its labels, which must cover it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from narrows.contract.errors import DatasetError


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
        raise DatasetError(f"{label_path} is {labels.shape}, its upright picture {picture.shape[:2]}: sizes must agree")
    return LabelledPicture(name, picture, labels)
