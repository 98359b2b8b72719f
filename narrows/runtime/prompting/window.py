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
_LARGE = 1 << 22
"""Pixels: a window that holds more is cut from what is near the picture alone. A square around a street is mostly sky,
and one around points at both ends of a wide picture takes thousands of times the picture's memory."""


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Of one axis of a window, cells of the crop, and the pixels of the source that they are made of.

    Attributes:
        first, last: the cells, the last one excluded.
        begin, length: where they lie in the source.
        start, end: the whole pixels that are looked at.
    """

    first: int
    last: int
    begin: float
    length: float
    start: int
    end: int

    @property
    def pixels(self) -> int:
        """How many are looked at."""
        return self.end - self.start

    @classmethod
    def of(cls, begin: float, side: float, size: int) -> _Stretch:
        """All cells."""
        return cls(0, size, begin, side, math.floor(begin), math.ceil(begin + side))

    def near(self, length: int, scale: float) -> _Stretch:
        """The cells that a picture of ``length`` pixels has a part in, each of ``scale`` pixels."""
        reach = max(1.0, scale)  # how far from a cell's middle an antialiased bilinear looks
        first = min(self.last, max(0, math.floor((-reach - self.begin) / scale - 0.5)))
        last = max(first, min(self.last, math.ceil((length + reach - self.begin) / scale + 0.5)))
        begin, end = self.begin + first * scale, self.begin + last * scale
        start = max(self.start, math.floor(begin - reach) - 1)
        return _Stretch(first, last, begin, end - begin, start, max(start, min(self.end, math.ceil(end + reach) + 1)))


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
        rows, columns = _Stretch.of(self.y, self.side, size), _Stretch.of(self.x, self.side, size)
        if rows.pixels * columns.pixels > _LARGE:
            rows, columns = rows.near(height, self.side / size), columns.near(width, self.side / size)
        inside = self._resized(picture, rows, columns, outside)
        if inside.shape[:2] == (size, size):
            return inside
        crop = np.full((size, size, *picture.shape[2:]), outside, np.uint8)
        crop[rows.first : rows.last, columns.first : columns.last] = inside
        return crop

    def _resized(
        self, picture: NDArray[np.uint8], rows: _Stretch, columns: _Stretch, outside: int
    ) -> NDArray[np.uint8]:
        """The cells of both stretches, from the pixels that they name."""
        height, width = picture.shape[:2]
        top, left = rows.start, columns.start
        held = picture[max(0, top) : max(0, rows.end), max(0, left) : max(0, columns.end)]
        if left < 0 or top < 0 or columns.end > width or rows.end > height:
            whole = np.full((rows.pixels, columns.pixels, *picture.shape[2:]), outside, np.uint8)
            row, column = max(0, -top), max(0, -left)
            whole[row : row + held.shape[0], column : column + held.shape[1]] = held
            held = whole
        x0, x1 = (columns.begin - left, columns.begin - left + columns.length)
        y0, y1 = (rows.begin - top, rows.begin - top + rows.length)
        edges = (x0, y0, min(x1, held.shape[1]), min(y1, held.shape[0]))
        shape = columns.last - columns.first, rows.last - rows.first
        if not min(shape):
            return np.empty((shape[1], shape[0], *picture.shape[2:]), np.uint8)
        return np.asarray(Image.fromarray(held).resize(shape, Image.Resampling.BILINEAR, box=edges))

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
