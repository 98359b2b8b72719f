"""From training symbols to the tables that a bundle ships.

::

    symbols ─► live channels ─► weights ─► contexts ─► histograms ─► clusters ─► integer frequencies

All counting is on *rounded* symbols, after the network is frozen. K and P have contexts of their own and share tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from narrows.contract.codec import layout
from narrows.contract.codec.clustering import VALUES, cluster
from narrows.contract.codec.contexts import LevelContexts, Thresholds
from narrows.contract.codec.symbols import Memory
from narrows.contract.codec.tables import CodingTables, LevelTables
from narrows.contract.codec.weights import fit_magnitude, fit_sign
from narrows.contract.errors import FieldInvalid

MAGNITUDES = (1, 3, 6, 10, 16, 24, 36, 52, 76, 110, 160, 240)
KEY = Thresholds(MAGNITUDES, (8, 24, 56, 120))
PREDICTED = Thresholds(MAGNITUDES, (6, 19, 32, 45, 64, 96, 160, 224))
"""Finer in sign: with the memory among its parts, the signed sum foretells the very value."""
_PRIOR_COUNT = 1.0
_PLANES_AT_ONCE = 32

Planes = NDArray[np.int8]
Histograms = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Moments:
    """Frames as P packets meet them: symbols ``(N, C, h, w)`` int8, and before each its memory, int16 of that shape."""

    symbols: Planes
    memories: Memory


def count_tables(
    symbols_by_level: Sequence[Planes],
    moments_by_level: Sequence[Moments] | None = None,
    max_tables: int = layout.MAX_TABLES,
) -> CodingTables:
    """Tables for the symbols ``(N, C, h, w)`` int8 of each level; with moments of each level, for P too.

    Raises:
        FieldInvalid: no levels, shapes that differ in channels, or ``max_tables`` beyond 1 to 64.
    """
    _check(symbols_by_level, moments_by_level, max_tables)
    channels = symbols_by_level[0].shape[1]
    head = CodingTables(channels, KEY, None if moments_by_level is None else PREDICTED, ())
    moments: Sequence[Moments | None] = moments_by_level or [None] * len(symbols_by_level)
    levels = [
        _count_level(head, np.ascontiguousarray(symbols), some, max_tables)
        for symbols, some in zip(symbols_by_level, moments, strict=True)
    ]
    return replace(head, by_level=tuple(levels))


def _check(symbols: Sequence[Planes], moments: Sequence[Moments] | None, max_tables: int) -> None:
    if not 0 < len(symbols) <= layout.MAX_LEVELS or not 0 < max_tables <= layout.MAX_TABLES:
        raise FieldInvalid(f"tables for {len(symbols)} levels, {max_tables} each: 1 to 16 levels, 1 to 64 tables")
    planes = [*symbols, *(some.symbols for some in moments or ())]
    if any(some.dtype != np.int8 or some.ndim != 4 or some.size == 0 for some in planes):
        raise FieldInvalid("training symbols are int8 of shape (N, C, h, w) at every level")
    if len({some.shape[1] for some in planes}) != 1:
        raise FieldInvalid("training symbols of all levels have the same number of channels")
    if moments is not None and len(moments) != len(symbols):
        raise FieldInvalid(f"moments for {len(moments)} levels, symbols for {len(symbols)}")
    if any(some.memories.shape != some.symbols.shape or some.memories.dtype != np.int16 for some in moments or ()):
        raise FieldInvalid("memories are int16 of the shape of their symbols, level by level")


def _count_level(head: CodingTables, symbols: Planes, moments: Moments | None, max_tables: int) -> LevelTables:
    live = np.flatnonzero((symbols != 0).any(axis=(0, 2, 3)))
    level = LevelTables(
        channels=live.astype(np.uint16),
        key=_without_lookup(head.key, symbols, None, live),
        predicted=None,
        frequencies=(np.array([layout.TOTAL - 1, 1], dtype=np.uint16),),
    )
    if moments is not None and head.predict is not None:
        level = replace(level, predicted=_without_lookup(head.predict, moments.symbols, moments.memories, live))
    return _with_lookups(head, level, symbols, moments, max_tables) if len(live) else level


def _without_lookup(
    thresholds: Thresholds, symbols: Planes, memories: Memory | None, live: NDArray[np.intp]
) -> LevelContexts:
    weights, parents = fit_magnitude(symbols, live, memories)
    lookup = np.zeros((len(live), thresholds.bins), dtype=np.uint8)
    return LevelContexts(weights, fit_sign(symbols, live, memories), parents, lookup)


def _with_lookups(
    head: CodingTables, level: LevelTables, symbols: Planes, moments: Moments | None, max_tables: int
) -> LevelTables:
    counts = [_with_prior(_histograms(head, level, head.key.bins, symbols, None))]
    if moments is not None and head.predict is not None:
        own = _histograms(head, level, head.predict.bins, moments.symbols, moments.memories)
        counts.append(_with_prior(own))
    flat = [some.reshape(-1, VALUES) for some in counts]
    entries, tables = cluster(np.concatenate(flat), max_tables)
    key, predicted = entries[: len(flat[0])], entries[len(flat[0]) :]
    contexts = level.predicted
    if contexts is not None:
        contexts = replace(contexts, lookup=predicted.reshape(contexts.lookup.shape))
    key_contexts = replace(level.key, lookup=key.reshape(level.key.lookup.shape))
    return replace(level, key=key_contexts, predicted=contexts, frequencies=tables)


def _histograms(
    head: CodingTables, level: LevelTables, bins: int, symbols: Planes, memories: Memory | None
) -> Histograms:
    """Counts ``(n, bins, 255)`` of K's contexts, or with memories of P's."""
    shape = (len(level.channels), bins, VALUES)
    native = replace(head, by_level=(level,)).native[0]
    counts = np.zeros(shape)
    for start in range(0, len(symbols), _PLANES_AT_ONCE):
        cells = []
        for index in range(start, min(start + _PLANES_AT_ONCE, len(symbols))):
            plane = np.ascontiguousarray(symbols[index])
            memory = None if memories is None else np.ascontiguousarray(memories[index])
            cells.append(_cells(plane[level.channels], native.contexts(plane, memory), shape))
        counts += np.bincount(np.concatenate(cells), minlength=counts.size).reshape(shape)
    return counts


def _cells(coded: Planes, bins: NDArray[np.uint8], shape: tuple[int, ...]) -> NDArray[np.intp]:
    """Where each coded symbol ``(n, h, w)`` counts in histograms of ``shape``, flat."""
    values = np.where(coded > 0, 2 * coded.astype(np.intp) - 1, -2 * coded.astype(np.intp))
    rows = np.arange(shape[0])[:, None, None]
    return np.ravel_multi_index((rows, bins.astype(np.intp), values), shape).reshape(-1)


def _with_prior(counts: Histograms) -> Histograms:
    """Add one count's worth of what all channels together, or else the level as a whole, show in a context."""
    whole = counts.sum(axis=(0, 1))
    pooled = counts.sum(axis=0, keepdims=True) + 0.01 * whole / whole.sum()
    prior: Histograms = _PRIOR_COUNT * pooled / pooled.sum(axis=-1, keepdims=True)
    return counts + prior
