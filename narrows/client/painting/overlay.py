"""A mask as a palette PNG, and a mask laid over its picture."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from narrows.contract.outputs.objects import Objects

_LONGER_SIDE, _OUTLINE_PIXELS = 640, 2
_OUTLINE_COLOUR = (255, 214, 0)


def to_palette_png(labels: NDArray[np.uint8], palette: NDArray[np.uint8], *, quick: bool = False) -> bytes:
    """A PNG whose pixel values are the labels ``(H, W)`` uint8 and whose palette ``(256, 3)`` uint8 shows them.

    ``quick`` takes a fortieth of the time and not twice the bytes: for pictures that are looked at once.
    """
    image = Image.fromarray(np.ascontiguousarray(labels)).convert("P")
    image.putpalette(palette.tobytes())
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", **({"compress_level": 1} if quick else {"optimize": True}))
    return buffer.getvalue()


def blend(
    picture: NDArray[np.uint8], labels: NDArray[np.uint8], palette: NDArray[np.uint8], opacity: float = 0.55
) -> NDArray[np.uint8]:
    """The picture ``(H, W, 3)`` uint8 under its mask ``(H, W)`` uint8 in palette colours.

    Raises:
        ValueError: the sizes differ.
    """
    if picture.shape != (*labels.shape, 3):
        raise ValueError(f"a mask of {labels.shape} does not cover a picture of {picture.shape}")
    mixed = (1 - opacity) * picture + opacity * palette[labels]
    return np.rint(mixed).astype(np.uint8)


def paint_outlines(objects: Objects) -> bytes:
    """The outlines of a frame's objects over the whole picture, as a PNG that is transparent elsewhere."""
    scale = min(1.0, _LONGER_SIDE / max(objects.width, objects.height))
    height, width = max(1, round(objects.height * scale)), max(1, round(objects.width * scale))
    outlines = np.zeros((height, width), np.uint8)
    for each in objects.masks:
        mask = objects.spread(each, height, width)
        inner = np.pad(mask, _OUTLINE_PIXELS)
        for axis in (0, 1):
            inner = np.logical_and.reduce(
                [np.roll(inner, shift, axis) for shift in range(-_OUTLINE_PIXELS, _OUTLINE_PIXELS + 1)]
            )
        outlines |= mask & ~inner[_OUTLINE_PIXELS:-_OUTLINE_PIXELS, _OUTLINE_PIXELS:-_OUTLINE_PIXELS]
    image = Image.fromarray(outlines).convert("P")
    image.putpalette(bytes((0, 0, 0, *_OUTLINE_COLOUR)))
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", transparency=0)
    return buffer.getvalue()


def side_by_side(*pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Pictures ``(H, W, 3)`` uint8 of one height in a row, from left to right."""
    return np.concatenate(pictures, axis=1)
