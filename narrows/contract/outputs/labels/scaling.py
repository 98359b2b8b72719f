"""A label map at a half, a quarter or an eighth of its sides."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

DIVISORS = (1, 2, 4, 8)
"""Of a label map's sides: what a camera may send instead of the whole of it."""


def divided_size(height: int, width: int, divisor: int) -> tuple[int, int]:
    """``(height, width)`` of a map whose sides were divided, rounded up."""
    return -(-height // divisor), -(-width // divisor)


def divide_labels(labels: NDArray[np.uint8], divisor: int, classes: int) -> NDArray[np.uint8]:
    """``(H, W)`` to ``(ceil(H/d), ceil(W/d))`` uint8: what most pixels of each block are, the lowest of equals.

    Blocks that reach beyond the map count its last row and column as often as is needed to fill them.
    """
    if divisor == 1:
        return labels
    height, width = labels.shape
    rows, columns = divided_size(height, width, divisor)
    padded = np.pad(labels, ((0, rows * divisor - height), (0, columns * divisor - width)), mode="edge")
    by_row = [(padded == label).reshape(rows, divisor, -1).sum(axis=1, dtype=np.uint16) for label in range(classes)]
    votes = np.stack([each.reshape(rows, columns, divisor).sum(axis=2) for each in by_row])
    winners: NDArray[np.uint8] = votes.argmax(axis=0).astype(np.uint8)
    return winners
