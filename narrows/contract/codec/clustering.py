"""Many context histograms, few tables: k-means under the cost in bits, with mirrored histograms welcome.

A context may use a table as it is, or with the signs swapped, so channels that lean to opposite sides share.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from narrows.contract.codec import layout

_ROUNDS = 12
_SMOOTHING = 0.02
_ESCAPE_COUNT = 0.5
Counts = NDArray[np.float64]

VALUES = 2 * layout.MAX_SYMBOL + 1
_swapped = np.array([0, *(i + 1 if i % 2 else i - 1 for i in range(1, VALUES))])


def cluster(histograms: Counts, most: int) -> tuple[NDArray[np.uint8], tuple[NDArray[np.uint16], ...]]:
    """Look-up entries ``(contexts,)`` uint8 and at most ``most`` tables for ``(contexts, 255)`` counts.

    Counts are in the order of the values 0, 1, -1, 2, -2, ...
    """
    both = np.stack([histograms, histograms[:, _swapped]])
    members = _begin(histograms, most)
    flips = np.zeros(len(histograms), dtype=np.intp)
    for _ in range(_ROUNDS):
        tables = _tables(both, members, flips)
        prices = np.stack([price_of(table) for table in tables])
        costs = both @ prices.T
        best = costs.transpose(1, 0, 2).reshape(len(histograms), -1).argmin(axis=1)
        flips, members = np.divmod(best, len(tables))
    tables = _tables(both, members, flips)
    used, members = np.unique(members, return_inverse=True)
    entries = members.astype(np.uint8) | (flips.astype(np.uint8) * np.uint8(layout.FLIP))
    return entries, tuple(tables[i] for i in range(len(used)))


def _begin(histograms: Counts, most: int) -> NDArray[np.intp]:
    """Contexts in the order of their mean magnitude, cut into ``most`` parts of like information."""
    totals = histograms.sum(axis=1)
    magnitudes = histograms @ ((np.arange(VALUES) + 1) // 2) / totals
    order = np.argsort(magnitudes, kind="stable")
    information = np.cumsum((totals * np.sqrt(magnitudes) + 1e-9)[order])
    members = np.empty(len(histograms), dtype=np.intp)
    members[order] = np.minimum(information / information[-1] * most, most - 1).astype(np.intp)
    return members


def _tables(both: Counts, members: NDArray[np.intp], flips: NDArray[np.intp]) -> list[NDArray[np.uint16]]:
    return [
        frequencies(
            both[0, (members == t) & (flips == 0)].sum(axis=0) + both[1, (members == t) & (flips == 1)].sum(axis=0)
        )
        for t in np.unique(members)
    ]


def frequencies(counts: Counts) -> NDArray[np.uint16]:
    """A table for ``(255,)`` counts: up to the last value seen, and the escape; sums to 65536, each at least 1."""
    seen = np.flatnonzero(counts >= 0.5)
    size = min(int(seen[-1]) + 1 if len(seen) else 1, layout.MAX_ENTRIES - 1)
    wanted = np.append(counts[:size] + _SMOOTHING, counts[size:].sum() + _ESCAPE_COUNT)
    shares = wanted / wanted.sum() * (layout.TOTAL - len(wanted))
    whole = np.floor(shares).astype(np.int64)
    short = layout.TOTAL - len(wanted) - int(whole.sum())
    whole[np.argsort(whole - shares, kind="stable")[:short]] += 1
    table: NDArray[np.uint16] = (whole + 1).astype(np.uint16)
    return table


def price_of(table: NDArray[np.uint16]) -> Counts:
    """Bits of each value ``(255,)`` under a table, escapes with their tails."""
    bits = np.log2(layout.TOTAL) - np.log2(table.astype(np.float64))
    escape = len(table) - 1
    tails = np.arange(VALUES - escape)
    prefix = np.floor(np.log2(tails + 1))
    longest = prefix[-1]
    return np.concatenate([bits[:escape], bits[escape] + 2 * prefix + (prefix < longest)])
