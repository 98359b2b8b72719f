"""What a perfect coder would spend: the cross-entropy of the tables on given symbols."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from narrows.codec import layout
from narrows.codec.clustering import price_of
from narrows.codec.tables import CodingTables
from narrows.errors import FieldInvalid


def ideal_bits(
    symbols: NDArray[np.int8], tables: CodingTables, level: int, reference: NDArray[np.int8] | None = None
) -> float:
    """Bits of a plane ``(C, h, w)`` int8 under the tables, as K or, with a reference, as P.

    Raises:
        FieldInvalid: there is no such level, or a reference was given to tables that code K only.
    """
    at = tables.at(level)
    if reference is not None and not tables.predicted:
        raise FieldInvalid("these tables code K packets only; a reference was given")
    if len(at.channels) == 0:
        return 0.0
    plane = np.ascontiguousarray(symbols)
    bins = tables.native[level].contexts(plane)
    rows = np.arange(len(at.channels))[:, None, None]
    entries = at.key_lookup[rows, bins]
    if reference is not None and at.predicted_lookup is not None:
        radius = tables.reference_radius
        near = np.clip(reference[at.channels], -radius, radius).astype(np.intp) + radius
        entries = at.predicted_lookup[rows, near, bins]
    values = plane[at.channels].astype(np.intp)
    values = np.where(entries & layout.FLIP, -values, values)
    indices = np.where(values > 0, 2 * values - 1, -2 * values)
    prices = np.stack([price_of(table) for table in at.frequencies])
    return float(prices[entries & ~np.uint8(layout.FLIP), indices].sum())
