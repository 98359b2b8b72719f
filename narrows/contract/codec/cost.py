"""What a perfect coder would spend: the cross-entropy of the tables on given symbols."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from narrows.contract.codec import layout
from narrows.contract.codec.clustering import price_of
from narrows.contract.codec.symbols import Memory
from narrows.contract.codec.tables import CodingTables
from narrows.contract.errors import FieldInvalid


def ideal_bits(symbols: NDArray[np.int8], tables: CodingTables, level: int, memory: Memory | None = None) -> float:
    """Bits of a plane ``(C, h, w)`` int8 under the tables, as K or, with a memory, as P.

    Raises:
        FieldInvalid: there is no such level, or a memory was given to tables that code K only.
    """
    at = tables.at(level)
    if memory is not None and not tables.predicted:
        raise FieldInvalid("these tables code K packets only; a memory was given")
    if len(at.channels) == 0:
        return 0.0
    plane = np.ascontiguousarray(symbols)
    bins = tables.native[level].contexts(plane, None if memory is None else np.ascontiguousarray(memory))
    contexts = at.key if memory is None or at.predicted is None else at.predicted
    entries = contexts.lookup[np.arange(len(at.channels))[:, None, None], bins]
    values = plane[at.channels].astype(np.intp)
    values = np.where(entries & layout.FLIP, -values, values)
    indices = np.where(values > 0, 2 * values - 1, -2 * values)
    prices = np.stack([price_of(table) for table in at.frequencies])
    return float(prices[entries & ~np.uint8(layout.FLIP), indices].sum())
