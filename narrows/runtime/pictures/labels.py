"""A label file: its values as they stand, since a value that was mixed or scaled names another class."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from narrows.contract.errors import PictureError
from narrows.runtime.pictures.colours import opaque
from narrows.runtime.pictures.orientation import exif_orientation
from narrows.runtime.pictures.still import opened

_LOSSY = {"JPEG", "MPO"}


def read_labels(path: Path) -> NDArray[np.uint8]:
    """The label map ``(H, W)`` uint8: grey values or palette indices, turned as EXIF says, never resampled.

    Raises:
        PictureError: it cannot be read, or its pixels do not stand for one label each; the message says which file.
    """
    with opened(path) as image:
        if image.format in _LOSSY:
            raise PictureError("JPEG blurs labels: save them as PNG")
        return exif_orientation(image).upright(_values(image))


def _values(image: Image.Image) -> NDArray[np.uint8]:
    if image.mode == "P":
        return np.asarray(image, dtype=np.uint8)
    if image.mode == "1":
        raise PictureError("1 bit a pixel: whether white is label 1 or 255 is not said; save it with 8 bits")
    if not opaque(image):
        raise PictureError("some of it is transparent: save labels without an alpha channel")
    values = np.asarray(image)
    if image.mode in {"LA", "RGB", "RGBA"}:
        values = _one_channel(values[..., :-1] if image.mode != "RGB" else values)
    elif image.mode != "L" and not image.mode.startswith("I"):
        raise PictureError(f"mode {image.mode}: labels are one channel of whole numbers, or a palette")
    if values.min(initial=0) < 0 or values.max(initial=0) > 255:
        raise PictureError(f"it has value {int(values.max(initial=0))}: labels are 0 to 255")
    return values.astype(np.uint8)


def _one_channel(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    first = values[..., 0]
    if (values != first[..., np.newaxis]).any():
        raise PictureError("it is in colours: labels are one channel of class numbers, or a palette")
    return first
