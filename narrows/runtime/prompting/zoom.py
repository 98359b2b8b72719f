"""Which window shows the thing that points are on: a larger one while its mask is cut off, a smaller one for a speck.

::

    windows    0.06 ── 0.135 ── 0.3 ── 0.68     of the picture's longer side
                 ◄─ speck ─┴─ cut off ─►        until neither, or no window is left; back where it was: the steadier

A point does not say how large its thing is, but a mask that reaches the edge of its window does, and so does a speck
in the middle: two or three looks do what a look at every window does, and choose better. It takes a network that was
trained on windows smaller than things.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from narrows.runtime.prompting.window import Window

BEGIN = 1
"""The place of the window that is looked at first; of fewer, the last."""
CUT_OFF = 0.05
"""Of the window's edge: a mask on more of it goes on beyond."""
SPECK = 0.1
"""Of the window: a mask of less shows more in a smaller one."""
STEADY = 1.0
"""A mask is steady where a threshold of this logit above 0 or below makes little difference (SAM's stability score)."""


@dataclass(frozen=True)
class Look:
    """Where the network looked last, what it said there ``(size, size)`` float32, and how often it ran."""

    window: Window
    logits: NDArray[np.float32]
    passes: int


def find_window(windows: Sequence[Window], run: Callable[[Window], NDArray[np.float32]]) -> Look:
    """Look until a window fits. Where nothing is seen on the way, the rest is looked at, too.

    Args:
        windows: from small to large, one at least.
        run: a window to logits ``(size, size)`` float32.
    """
    looks: dict[int, NDArray[np.float32]] = {}
    last, place = 0, min(BEGIN, len(windows) - 1)
    while place not in looks and 0 <= place < len(windows):
        looks[place], last = run(windows[place]), place
        place += _way(looks[place])
    ends = [end for end in (last, place) if end in looks]
    if not any((looks[end] > 0).any() for end in ends):
        looks |= {rest: run(windows[rest]) for rest in range(len(windows)) if rest not in looks}
        ends = list(looks)
    found = max(ends, key=lambda end: steadiness(looks[end]))
    return Look(windows[found], looks[found], len(looks))


def _way(logits: NDArray[np.float32]) -> int:
    """1 for a larger window, -1 for a smaller one, 0 for none."""
    mask = logits > 0
    if _at_the_edge(mask) > CUT_OFF:
        return 1
    return -1 if mask.mean() < SPECK else 0


def steadiness(logits: NDArray[np.float32]) -> float:
    """How much of a mask stays whatever the threshold, less what is cut off by the window's edge; 0 to 1."""
    sure, perhaps = logits > STEADY, logits > -STEADY
    if not sure.any():
        return 0.0
    return float(sure.sum() / perhaps.sum() * (1 - _at_the_edge(sure)))


def _at_the_edge(mask: NDArray[np.bool_]) -> float:
    """The share of a window's edge that is mask."""
    return float(np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]]).mean())
