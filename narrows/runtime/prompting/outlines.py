"""What is outlined in a frame, as a picture to lay over it."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from narrows.contract.outputs.objects import Objects

_LONGER_SIDE, _OUTLINE_PIXELS = 640, 2
_OUTLINE_COLOUR = (255, 214, 0)


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
