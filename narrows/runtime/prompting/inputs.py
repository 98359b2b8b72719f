"""A crop and its prompt as one tensor of bytes, as a sensor's network takes it.

::

    0-2  red, green, blue
    3    255 inside the box, 0 outside and where there is none
    4    discs on the points that are on the thing
    5    discs on the points that are beside it

Everything is uint8, and the network's one normalisation, (x - 127) / 128, is that of the ImageNet weights.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from narrows.runtime.prompting.prompt import Point, Prompt
from narrows.runtime.prompting.window import Window

CHANNELS = 6
DISC_RADIUS = 3.0
"""Pixels of the crop: about what a stride of 2 and a 3 x 3 filter cannot miss."""
SET = 255


def encode_input(picture: NDArray[np.uint8], prompt: Prompt, window: Window, size: int) -> NDArray[np.uint8]:
    """``(6, size, size)`` uint8 of a source picture ``(H, W, 3)`` uint8 RGB."""
    tensor = np.empty((CHANNELS, size, size), np.uint8)
    tensor[:3] = window.cut(picture, size).transpose(2, 0, 1)
    tensor[3:] = prompt_maps(prompt, window, size)
    return tensor


def prompt_maps(prompt: Prompt, window: Window, size: int) -> NDArray[np.uint8]:
    """The three maps of the prompt, ``(3, size, size)`` uint8."""
    maps = np.zeros((3, size, size), np.uint8)
    if prompt.box is not None:
        left, top = window.scaled(prompt.box.x, prompt.box.y, size)
        right, bottom = window.scaled(prompt.box.right, prompt.box.bottom, size)
        maps[0, _between(top, bottom, size), _between(left, right, size)] = SET
    for point in prompt.points:
        _draw_disc(maps[1 if point.positive else 2], point, window)
    return maps


def _between(start: float, end: float, size: int) -> slice:
    """The cells that are nearest to a stretch, one at least where the stretch is in the crop."""
    first = min(size - 1, max(0, round(start)))
    return slice(first, min(size, max(first + 1, round(end))))


def _draw_disc(plane: NDArray[np.uint8], point: Point, window: Window) -> None:
    size = plane.shape[0]
    x, y = window.scaled(point.x, point.y, size)
    low_y, high_y = max(0, math.floor(y - DISC_RADIUS)), min(size, math.ceil(y + DISC_RADIUS))
    low_x, high_x = max(0, math.floor(x - DISC_RADIUS)), min(size, math.ceil(x + DISC_RADIUS))
    if low_y < high_y and low_x < high_x:
        rows, columns = np.arange(low_y, high_y) + 0.5 - y, np.arange(low_x, high_x) + 0.5 - x
        inside = rows[:, None] ** 2 + columns**2 <= DISC_RADIUS**2
        plane[low_y:high_y, low_x:high_x][inside] = SET
