"""Which windows of the picture a prompt is looked at in."""

from __future__ import annotations

from narrows.runtime.prompting.prompt import Box, Prompt
from narrows.runtime.prompting.window import Window, box_around

BOX_SCALE = 1.3
"""Sides of the window around a box: room for what a loose box leaves out, and some surroundings."""
POINT_SHARES = (0.06, 0.135, 0.3, 0.68)
"""Sides of the windows around points, of the picture's longer side: a point does not say how large its thing is.

Half of COCO's things are shorter than a tenth of their picture, and a network does best where its thing fills about
half of the window. Each that is looked at costs a pass of the network (:mod:`narrows.runtime.prompting.zoom`).
"""
POINTS_SCALE = 2.0
"""A window around points is at least so many times as large as what they span."""


def windows_of(prompt: Prompt, width: int, height: int) -> tuple[Window, ...]:
    """One window around a box; around points several, small to large."""
    if prompt.box is not None:
        return (window_of_box(prompt.box),)
    span = box_around((point.x, point.y) for point in prompt.positives)
    least = POINTS_SCALE * span.longer_side
    sides = sorted({max(least, share * max(width, height)) for share in POINT_SHARES})
    return tuple(Window.at(span.centre, side) for side in sides)


def window_of_box(box: Box) -> Window:
    """The window that a box is looked at in."""
    return Window.around(box, BOX_SCALE)
