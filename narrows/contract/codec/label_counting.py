"""From masks to the tables that code such masks.

::

    masks ─► steps (context, entry) ─► histograms ─► prefix tree, pruned ─► integer frequencies
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from narrows.contract.codec import label_layout as layout
from narrows.contract.codec.label_kernel import UNIFORM, Labels, steps
from narrows.contract.codec.label_tables import LabelTables, LabelTableSet
from narrows.contract.codec.labels import check_map
from narrows.contract.errors import FieldInvalid

_LEAF_BITS = 40.0
"""What a leaf has to save: about what its table takes in the file."""
_PRIOR_COUNT = 0.5
"""Of each leaf, spread as all contexts together are."""
_ANYTHING = (20000, 12000, 4000, 1500, 1500, 1500, 1500, 23536)
"""Ranks and escape in a map that is like none of those counted: noise of 255 labels takes under twelve bits a pixel."""

Counts = NDArray[np.float64]


def count_label_tables(groups: Sequence[Iterable[Labels]], labels: int) -> LabelTables:
    """Tables with one set for each group of maps ``(H, W)`` uint8 of labels below ``labels``, one more for any other.

    Groups are kinds of maps that differ in how busy they are: the same scenes at several sizes, say.

    Raises:
        FieldInvalid: no group or more than 7, a group without a map, or a map that cannot be coded.
    """
    if not 0 < len(groups) < layout.MAX_SETS:
        raise FieldInvalid(f"label tables for {len(groups)} groups of maps; there are 1 to {layout.MAX_SETS - 1}")
    return LabelTables((*(_count_set(maps, labels) for maps in groups), _set_for_anything()))


def _set_for_anything() -> LabelTableSet:
    frequencies = np.zeros((1 + layout.OWN_TABLES, layout.ENTRIES), dtype=np.uint16)
    frequencies[:, :2] = layout.TOTAL // 2
    frequencies[:2] = _ANYTHING
    frequencies[-1] = _ANYTHING
    return LabelTableSet(np.zeros(1, dtype=np.uint8), frequencies)


def _count_set(maps: Iterable[Labels], labels: int) -> LabelTableSet:
    counts = np.zeros(layout.CONTEXTS * layout.ENTRIES)
    for each in maps:
        check_map(each, labels)
        found = steps(np.ascontiguousarray(each), labels)
        counts += np.bincount(found[found < UNIFORM], minlength=len(counts))
    if not counts.any():
        raise FieldInvalid("label tables are counted on one map at least")
    by_context = counts.reshape(layout.CONTEXTS, layout.ENTRIES)
    tests, own = by_context[: layout.BREAK], by_context[layout.BREAK :]
    depths = _pruned(tests)
    covered = np.left_shift(1, layout.TESTS - depths.astype(np.intp))
    leaves = np.add.reduceat(tests, np.cumsum(covered) - covered)
    prior = _PRIOR_COUNT * tests.sum(axis=0) / max(1.0, tests.sum())
    rows = [_integers(row + prior) for row in leaves] + [_integers(own[0])]
    rows += [_integers(row[:2]) for row in own[1:-1]] + [_integers(own[-1])]
    return LabelTableSet(depths, np.array(rows, dtype=np.uint16))


def _pruned(counts: Counts) -> NDArray[np.uint8]:
    """Depths of the leaves of the tree over the tests that codes ``(2^14, ENTRIES)`` counts best, tables included."""
    levels = [counts]
    while len(levels[-1]) > 1:
        levels.append(levels[-1].reshape(-1, 2, layout.ENTRIES).sum(axis=1))
    levels.reverse()
    prior = levels[0][0] / max(1.0, levels[0].sum())
    best = _bits(levels[-1], prior) + _LEAF_BITS
    depths = [np.full(1, layout.TESTS, dtype=np.uint8)] * len(counts)
    for depth in range(layout.TESTS - 1, -1, -1):
        whole, apart = _bits(levels[depth], prior) + _LEAF_BITS, best.reshape(-1, 2).sum(axis=1)
        split = apart < whole
        depths = [
            np.concatenate(depths[2 * i : 2 * i + 2]) if split[i] else np.full(1, depth, dtype=np.uint8)
            for i in range(len(whole))
        ]
        best = np.where(split, apart, whole)
    return depths[0]


def _bits(counts: Counts, prior: Counts) -> NDArray[np.float64]:
    """What each row of counts costs with a table of its own."""
    smoothed = counts + _PRIOR_COUNT * prior + 1e-3
    bits: NDArray[np.float64] = -(counts * np.log2(smoothed / smoothed.sum(axis=1, keepdims=True))).sum(axis=1)
    return bits


def _integers(counts: Counts) -> NDArray[np.uint16]:
    """Frequencies ``(ENTRIES,)`` with the sum 65536 in proportion to counts, each of them at least 1."""
    smoothed = counts + 1e-3
    scaled = np.maximum(1, np.floor(smoothed / smoothed.sum() * layout.TOTAL)).astype(np.int64)
    scaled[scaled.argmax()] += layout.TOTAL - scaled.sum()
    row = np.zeros(layout.ENTRIES, dtype=np.uint16)
    row[: len(scaled)] = scaled
    return row
