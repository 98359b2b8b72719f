"""Two masks against each other, and masks that anybody could draw from a box."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from narrows.models.promptable.prompts import eroded
from narrows.runtime.prompting import Box, Window
from narrows.runtime.prompting.window import box_of

TOLERANCE = 0.008
"""How far an outline may be off, of the picture's diagonal (Perazzi et al., DAVIS, CVPR 2016)."""

Mask = NDArray[np.bool_]


def overlap(one: Mask, other: Mask) -> float:
    """Intersection over union; 1 where both are empty."""
    either = int((one | other).sum())
    return int((one & other).sum()) / either if either else 1.0


def boundary_f(said: Mask, true: Mask) -> float:
    """The harmonic mean of the shares of either outline that are near the other: 1 where both are empty.

    Source: Martin et al., "Learning to Detect Natural Image Boundaries", PAMI 2004; tolerance as DAVIS has it, within a
    square instead of a disc.
    """
    reach = math.ceil(TOLERANCE * math.hypot(*true.shape))
    around = box_of(said | true)
    if around is None:
        return 1.0
    top, left = max(0, int(around.y) - reach - 1), max(0, int(around.x) - reach - 1)
    inside = slice(top, int(around.bottom) + reach + 1), slice(left, int(around.right) + reach + 1)
    outlines = [outline(mask[inside]) for mask in (said, true)]
    if not all(each.any() for each in outlines):
        return 0.0
    precision = float(dilated(outlines[1], reach)[outlines[0]].mean())
    recall = float(dilated(outlines[0], reach)[outlines[1]].mean())
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def outline(mask: Mask) -> Mask:
    """The set places that have an unset neighbour; beyond the edge nothing is set."""
    return mask & ~eroded(mask, 1)


def dilated(mask: Mask, radius: int) -> Mask:
    """The places within a square of ``2 radius + 1`` of a set one."""
    return ~eroded(np.pad(~mask, radius, constant_values=True), radius)[radius:-radius, radius:-radius]


def filled_box(box: Box, xs: NDArray[np.float64], ys: NDArray[np.float64]) -> Mask:
    """The places, by their centres, that are inside a box."""
    columns = (xs >= box.x) & (xs < box.right)
    rows = (ys >= box.y) & (ys < box.bottom)
    return rows[:, None] & columns


def inscribed_ellipse(box: Box, xs: NDArray[np.float64], ys: NDArray[np.float64]) -> Mask:
    """The places, by their centres, that are inside the ellipse that touches a box's four sides."""
    x, y = box.centre
    return ((ys - y) / (box.height / 2))[:, None] ** 2 + ((xs - x) / (box.width / 2)) ** 2 <= 1


def centres(start: float, length: float, count: int) -> NDArray[np.float64]:
    """Where the centres of ``count`` cells are along a stretch."""
    return start + (np.arange(count) + 0.5) * length / count


def centres_of(window: Window, size: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where the centres of a crop's pixels are in its source, along x and along y."""
    return centres(window.x, window.side, size), centres(window.y, window.side, size)
