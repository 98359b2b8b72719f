"""The square of the picture that the network looks at, and the way there and back."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from narrows.runtime.prompting.prompt import Box

OUTSIDE = 127
"""What lies beyond the picture's edge: the value that normalises to 0."""


@dataclass(frozen=True, slots=True)
class Window:
    """A square of the source picture: its top left corner and its side, pixels; it may reach beyond the picture."""

    x: float
    y: float
    side: float

    @classmethod
    def around(cls, box: Box, scale: float) -> Window:
        """The square on the box's centre whose side is ``scale`` times the box's longer side, a pixel at least."""
        return cls.at(box.centre, max(1.0, scale * box.longer_side))

    @classmethod
    def at(cls, centre: tuple[float, float], side: float) -> Window:
        """The square of that side on a place."""
        return cls(centre[0] - side / 2, centre[1] - side / 2, side)

    def rounded(self) -> Window:
        """The nearest one whose corner and side are whole pixels."""
        return Window(round(self.x), round(self.y), max(1, round(self.side)))

    def cut(self, picture: NDArray[np.uint8], size: int, outside: int = OUTSIDE) -> NDArray[np.uint8]:
        """The window of ``picture`` ``(H, W)`` or ``(H, W, 3)`` uint8, scaled to ``size`` with an antialiased bilinear.

        What is beyond the picture is ``outside``.
        """
        height, width = picture.shape[:2]
        left, top = math.floor(self.x), math.floor(self.y)
        right, bottom = math.ceil(self.x + self.side), math.ceil(self.y + self.side)
        held = picture[max(0, top) : max(0, bottom), max(0, left) : max(0, right)]
        if left < 0 or top < 0 or right > width or bottom > height:
            whole = np.full((bottom - top, right - left, *picture.shape[2:]), outside, np.uint8)
            row, column = max(0, -top), max(0, -left)
            whole[row : row + held.shape[0], column : column + held.shape[1]] = held
            held = whole
        edges = (self.x - left, self.y - top, self.x - left + self.side, self.y - top + self.side)
        edges = (edges[0], edges[1], min(edges[2], held.shape[1]), min(edges[3], held.shape[0]))
        return np.asarray(Image.fromarray(held).resize((size, size), Image.Resampling.BILINEAR, box=edges))

    def spread(self, values: NDArray[np.float32], width: int, height: int, fill: float) -> NDArray[np.float32]:
        """Values ``(n, n)`` of the window at every pixel of its source ``(height, width)``, ``fill`` elsewhere.

        Bilinear at the centres of pixels; the same samples that :meth:`cut` takes, the other way.
        """
        whole = np.full((height, width), fill, np.float32)
        rows, row_weights = _weights(self.y, self.side, height, values.shape[0])
        columns, column_weights = _weights(self.x, self.side, width, values.shape[1])
        if rows.stop > rows.start and columns.stop > columns.start:
            whole[rows, columns] = row_weights @ values.astype(np.float32) @ column_weights.T
        return whole

    def scaled(self, x: float, y: float, size: int) -> tuple[float, float]:
        """A place of the source in a crop of ``size`` pixels."""
        return (x - self.x) * size / self.side, (y - self.y) * size / self.side


def _weights(start: float, side: float, length: int, count: int) -> tuple[slice, NDArray[np.float32]]:
    """The pixels of ``length`` whose centre is in [start, start + side), and each one's share of ``count`` cells."""
    first = min(length, max(0, math.ceil(start - 0.5)))
    last = max(first, min(length, math.ceil(start + side - 0.5)))
    places = ((np.arange(first, last) + 0.5 - start) * count / side - 0.5).clip(0, count - 1)
    below = np.floor(places).astype(np.int64).clip(0, max(0, count - 2))
    share = (places - below).astype(np.float32)
    weights = np.zeros((last - first, count), np.float32)
    index = np.arange(last - first)
    weights[index, below] = 1 - share
    weights[index, np.minimum(below + 1, count - 1)] += share
    return slice(first, last), weights


def box_of(places: NDArray[np.bool_]) -> Box | None:
    """The smallest box around what is set in ``(H, W)``; ``None`` where nothing is."""
    rows, columns = np.flatnonzero(places.any(axis=1)), np.flatnonzero(places.any(axis=0))
    if not rows.size:
        return None
    top, left = int(rows[0]), int(columns[0])
    return Box(left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top)


def box_around(points: Iterable[tuple[float, float]]) -> Box:
    """The smallest box around places (x, y); its sides may be 0."""
    xs, ys = zip(*points, strict=True)
    return Box(min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys))
