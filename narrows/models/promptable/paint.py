"""A picture to look at: the mask over the source, its outline, and what was pointed with."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from narrows.models.promptable.evaluation.measures import dilated, outline
from narrows.runtime.prompting import Prompt

TINT = np.array([255, 196, 0], np.float32)
OPACITY = 0.45
BOX_COLOUR, ON_COLOUR, BESIDE_COLOUR = (255, 255, 255), (64, 220, 96), (235, 64, 52)
POINT_RADIUS = 4


def paint_prompted(picture: NDArray[np.uint8], mask: NDArray[np.bool_], prompt: Prompt) -> NDArray[np.uint8]:
    """``picture`` ``(H, W, 3)`` uint8 with ``mask`` ``(H, W)`` and the prompt drawn over it."""
    shown = picture.astype(np.float32)
    shown[mask] = (1 - OPACITY) * shown[mask] + OPACITY * TINT
    shown[dilated(outline(mask), 1) & mask] = TINT
    image = Image.fromarray(np.rint(shown).astype(np.uint8))
    pen = ImageDraw.Draw(image)
    if prompt.box is not None:
        box = prompt.box
        pen.rectangle((box.x, box.y, max(box.x, box.right - 1), max(box.y, box.bottom - 1)), outline=BOX_COLOUR)
    for point in prompt.points:
        around = (point.x - POINT_RADIUS, point.y - POINT_RADIUS, point.x + POINT_RADIUS, point.y + POINT_RADIUS)
        pen.ellipse(around, fill=ON_COLOUR if point.positive else BESIDE_COLOUR, outline=BOX_COLOUR)
    return np.asarray(image)


def packed(pixels: NDArray[np.uint8], format_: str) -> bytes:
    """A picture ``(H, W)`` or ``(H, W, 3)`` uint8 as a file, in a format as Pillow names it."""
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, format_)
    return data.getvalue()
