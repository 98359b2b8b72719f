"""Following one thing from frame to frame by its last mask. Pure.

::

    prompt ─► first look ─► mask ─► its box ─► window around it ─► next look ─► mask ...
                                      ▲                                │
                                      └── stays, while the thing is lost: the mask is gone, or its shape jumps
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from narrows.runtime.prompting import Box, Prompt, Window
from narrows.runtime.prompting.window import box_of
from narrows.runtime.prompting.zoom import Look

JUMP = 3.0
"""Between two looks a thing does not grow or shrink by so much in area: it became another thing's mask."""
LEAST_OVERLAP = 0.1
"""Of the boxes of two looks, intersection over union: less is a leap, not a step."""
UNBOUNDED = 0.5
"""Of the window's border: a mask that takes more of it is of something that the window does not hold."""
LEAST_CELLS = 4
"""Of the network's crop: a mask of fewer is gone."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Where a thing was when it was last outlined: the box of its mask, and the mask's area in pixels of the source."""

    box: Box
    area: float


@dataclass(frozen=True, slots=True)
class Outline:
    """One look: the window, the mask there ``(n, n)`` bool (``None``: the thing is lost), and what to go on from."""

    window: Window
    mask: NDArray[np.bool_] | None
    seen: Seen | None


def next_prompt(prompt: Prompt, seen: Seen | None) -> Prompt:
    """What to ask the network: what the operator pointed with, and from the first mask on the box of the last one."""
    return prompt if seen is None else Prompt(seen.box)


def follow(seen: Seen | None, look: Look, width: int, height: int) -> Outline:
    """What a look says of a thing that was last ``seen``, in a picture of ``width`` x ``height`` pixels."""
    mask = (look.logits > 0) & _inside(look.window, look.logits.shape[0], width, height)
    found = _seen(mask, look.window)
    if found is None or (seen is not None and not _is_step(seen, found)):
        return Outline(look.window, None, seen)
    return Outline(look.window, mask, found)


def _seen(mask: NDArray[np.bool_], window: Window) -> Seen | None:
    cells = int(mask.sum())
    box = box_of(mask)
    if box is None or cells < LEAST_CELLS or _border(mask).mean() > UNBOUNDED:
        return None
    share = window.side / mask.shape[0]
    in_source = Box(window.x + box.x * share, window.y + box.y * share, box.width * share, box.height * share)
    return Seen(in_source, cells * share**2)


def _border(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return np.concatenate([mask[0], mask[-1], mask[1:-1, 0], mask[1:-1, -1]])


def _is_step(before: Seen, now: Seen) -> bool:
    larger, smaller = max(before.area, now.area), min(before.area, now.area)
    return larger <= JUMP * smaller and _overlap(before.box, now.box) >= LEAST_OVERLAP


def _overlap(one: Box, other: Box) -> float:
    width = min(one.right, other.right) - max(one.x, other.x)
    height = min(one.bottom, other.bottom) - max(one.y, other.y)
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return both / (one.width * one.height + other.width * other.height - both)


def _inside(window: Window, cells: int, width: int, height: int) -> NDArray[np.bool_]:
    """Which cells of a window have their centre in the picture: beyond it there is nothing to outline."""
    offsets = (np.arange(cells) + 0.5) * window.side / cells
    rows, columns = window.y + offsets, window.x + offsets
    inside: NDArray[np.bool_] = ((rows >= 0) & (rows < height))[:, None] & ((columns >= 0) & (columns < width))
    return inside
