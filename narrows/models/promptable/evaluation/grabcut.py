"""GrabCut: what a box gives without anything learnt, beside a network's masks.

Source: Rother, Kolmogorov and Blake, "GrabCut", SIGGRAPH 2004; OpenCV's implementation.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from narrows.runtime.prompting import Box, Window

ROUNDS = 5
LONGEST_SIDE = 256
"""Pixels of the window's side: larger ones are scaled down, for it takes seconds there."""
SURROUNDINGS = 1.6
"""The window that is cut, of the box's longer side: what is outside the box teaches the background."""


def grab(picture: NDArray[np.uint8], box: Box) -> NDArray[np.bool_]:
    """The thing in ``box`` of a picture ``(H, W, 3)`` uint8 RGB, ``(H, W)``; the box where GrabCut finds nothing."""
    height, width = picture.shape[:2]
    window = Window.around(box, SURROUNDINGS)
    size = max(8, min(LONGEST_SIDE, round(window.side)))
    crop = np.ascontiguousarray(window.cut(picture, size)[..., ::-1])
    left, top = window.scaled(box.x, box.y, size)
    right, bottom = window.scaled(box.right, box.bottom, size)
    edges = (round(left), round(top), max(1, round(right - left)), max(1, round(bottom - top)))
    marks, models = np.zeros((size, size), np.uint8), [np.zeros((1, 65)) for _ in range(2)]
    cv2.setRNGSeed(0)
    cv2.grabCut(crop, marks, edges, models[0], models[1], ROUNDS, cv2.GC_INIT_WITH_RECT)
    inside = np.isin(marks, (cv2.GC_FGD, cv2.GC_PR_FGD))
    if not inside.any():
        inside[edges[1] : edges[1] + edges[3], edges[0] : edges[0] + edges[2]] = True
    return window.spread(inside.astype(np.float32) - np.float32(0.5), width, height, -1.0) > 0
