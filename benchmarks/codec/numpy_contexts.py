"""The contexts of ``docs/symbol-coding.md``, section 4, in NumPy: possible for an encoder, which knows all symbols."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from narrows.contract.codec import CodingTables, layout


def table_indices(
    plane: NDArray[np.int8], tables: CodingTables, level: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Of every coded symbol of a plane ``(C, h, w)``, as K: its table and its index in the value order, both flat."""
    at = tables.at(level)
    _, height, width = plane.shape
    capped = np.clip(plane, -layout.CAP, layout.CAP).astype(np.int32)
    padded = np.pad(capped[at.channels], ((0, 0), (2, 0), (2, 1)))
    near = [padded[:, 2 + dy : 2 + dy + height, 2 + dx : 2 + dx + width] for dy, dx in layout.NEIGHBOUR_OFFSETS]
    magnitude_weights = at.key.magnitude_weights.astype(np.int32)[:, :, None, None]
    sign_weights = at.key.sign_weights.astype(np.int32)[:, :, None, None]
    magnitude = sum((magnitude_weights[:, i] * np.abs(n) for i, n in enumerate(near)), np.zeros((1, 1, 1), np.int32))
    sign = sum((sign_weights[:, i] * n for i, n in enumerate(near)), np.zeros((1, 1, 1), np.int32))
    for k, parents in enumerate(at.key.parents):
        for channel, weight in parents:
            magnitude[k] += weight * np.abs(capped[channel])
    classes, limit = 2 * len(tables.key.signs) + 1, layout.CONTEXT_LIMIT
    every = np.arange(limit + 1)
    row_of = np.searchsorted(tables.key.magnitudes, every, side="right") * classes
    strength_of = np.searchsorted(tables.key.signs, every, side="right")
    class_of = np.concatenate([-strength_of[:0:-1], strength_of]) + classes // 2
    bins = row_of[np.minimum(magnitude, limit)] + class_of[np.clip(sign, -limit, limit) + limit]
    entries = at.key.lookup[np.arange(len(at.channels))[:, None, None], bins]
    values = plane[at.channels].astype(np.intp)
    values = np.where(entries & layout.FLIP, -values, values)
    indices = np.where(values > 0, 2 * values - 1, -2 * values)
    return (entries & 63).astype(np.intp).reshape(-1), indices.reshape(-1)
