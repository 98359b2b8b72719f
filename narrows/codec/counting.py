"""From training symbols to the tables that a bundle ships.

::

    symbols ─► live channels ─► weights ─► contexts ─► histograms ─► clusters ─► integer frequencies

All counting is on *rounded* symbols, after the network is frozen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from narrows.codec import layout
from narrows.codec.clustering import VALUES, cluster
from narrows.codec.tables import CodingTables, LevelTables
from narrows.codec.weights import fit_magnitude, fit_sign
from narrows.errors import FieldInvalid

MAGNITUDE_THRESHOLDS = (1, 3, 6, 10, 16, 24, 36, 52, 76, 110, 160, 240)
SIGN_THRESHOLDS = (8, 24, 56, 120)
REFERENCE_RADIUS = 2
_PRIOR_COUNT = 1.0
_PLANES_AT_ONCE = 32

Planes = NDArray[np.int8]


def count_tables(
    symbols_by_level: Sequence[Planes],
    references_by_level: Sequence[Planes] | None = None,
    max_tables: int = layout.MAX_TABLES,
) -> CodingTables:
    """Tables for the symbols ``(N, C, h, w)`` int8 of each level; with references of the same shape, for P too.

    Raises:
        FieldInvalid: no levels, shapes that differ in channels, or ``max_tables`` beyond 1 to 64.
    """
    _check(symbols_by_level, references_by_level, max_tables)
    channels = symbols_by_level[0].shape[1]
    radius = 0 if references_by_level is None else REFERENCE_RADIUS
    head = CodingTables(channels, MAGNITUDE_THRESHOLDS, SIGN_THRESHOLDS, radius, ())
    references: Sequence[Planes | None] = references_by_level or [None] * len(symbols_by_level)
    levels = [
        _count_level(head, np.ascontiguousarray(symbols), reference, max_tables)
        for symbols, reference in zip(symbols_by_level, references, strict=True)
    ]
    return replace(head, by_level=tuple(levels))


def _check(symbols: Sequence[Planes], references: Sequence[Planes] | None, max_tables: int) -> None:
    if not 0 < len(symbols) <= layout.MAX_LEVELS or not 0 < max_tables <= layout.MAX_TABLES:
        raise FieldInvalid(f"tables for {len(symbols)} levels, {max_tables} each: 1 to 16 levels, 1 to 64 tables")
    if any(planes.dtype != np.int8 or planes.ndim != 4 or planes.size == 0 for planes in symbols):
        raise FieldInvalid("training symbols are int8 of shape (N, C, h, w) at every level")
    if len({planes.shape[1] for planes in symbols}) != 1:
        raise FieldInvalid("training symbols of all levels have the same number of channels")
    if references is not None and [r.shape for r in references] != [s.shape for s in symbols]:
        raise FieldInvalid("references have the shapes of their symbols, level by level")


def _count_level(head: CodingTables, symbols: Planes, references: Planes | None, max_tables: int) -> LevelTables:
    live = np.flatnonzero((symbols != 0).any(axis=(0, 2, 3)))
    level = _without_lookups(head, symbols, live)
    if len(live) == 0:
        return level
    return _with_lookups(head, level, _histograms(head, level, symbols, references), max_tables)


def _without_lookups(head: CodingTables, symbols: Planes, live: NDArray[np.intp]) -> LevelTables:
    weights, parents = fit_magnitude(symbols, live)
    return LevelTables(
        channels=live.astype(np.uint16),
        magnitude_weights=weights,
        sign_weights=fit_sign(symbols, live),
        parents=parents,
        key_lookup=np.zeros((len(live), head.bins), dtype=np.uint8),
        predicted_lookup=_predicted_zeros(head, len(live)),
        frequencies=(np.array([layout.TOTAL - 1, 1], dtype=np.uint16),),
    )


def _predicted_zeros(head: CodingTables, live: int) -> NDArray[np.uint8] | None:
    return np.zeros((live, 2 * head.reference_radius + 1, head.bins), dtype=np.uint8) if head.predicted else None


def _histograms(
    head: CodingTables, level: LevelTables, symbols: Planes, references: Planes | None
) -> NDArray[np.float64]:
    """Counts ``(n, classes, bins, 255)``: class 0 is K, the others the reference classes of P."""
    classes = 2 * head.reference_radius + 2 if head.predicted else 1
    shape = (len(level.channels), classes, head.bins, VALUES)
    native = replace(head, by_level=(level,)).native[0]
    counts = np.zeros(shape)
    for start in range(0, len(symbols), _PLANES_AT_ONCE):
        some = slice(start, start + _PLANES_AT_ONCE)
        near = [None] * len(symbols[some]) if references is None else references[some]
        pairs = zip(symbols[some], near, strict=True)
        cells = [
            _cells(plane[level.channels], native.contexts(plane), _coded(other, level), shape) for plane, other in pairs
        ]
        counts += np.bincount(np.concatenate(cells), minlength=counts.size).reshape(shape)
    return counts


def _cells(
    coded: Planes, bins: NDArray[np.uint8], references: Planes | None, shape: tuple[int, ...]
) -> NDArray[np.intp]:
    """Where each coded symbol ``(n, h, w)`` counts in histograms of ``shape``, flat: for K, then for P."""
    values = np.where(coded > 0, 2 * coded.astype(np.intp) - 1, -2 * coded.astype(np.intp))
    rows = np.arange(shape[0])[:, None, None]
    classes = [np.zeros(coded.shape, dtype=np.intp)]
    if references is not None:
        radius = shape[1] // 2 - 1
        classes.append(np.clip(references, -radius, radius).astype(np.intp) + radius + 1)
    cells = [np.ravel_multi_index((rows, each, bins.astype(np.intp), values), shape).reshape(-1) for each in classes]
    return np.concatenate(cells)


def _coded(plane: Planes | None, level: LevelTables) -> Planes | None:
    return None if plane is None else plane[level.channels]


def _with_lookups(head: CodingTables, level: LevelTables, counts: NDArray[np.float64], max_tables: int) -> LevelTables:
    entries, tables = cluster(_with_prior(counts).reshape(-1, VALUES), max_tables)
    shaped = entries.reshape(counts.shape[:3])
    predicted = np.ascontiguousarray(shaped[:, 1:]) if head.predicted else None
    return replace(level, key_lookup=np.ascontiguousarray(shaped[:, 0]), predicted_lookup=predicted, frequencies=tables)


def _with_prior(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Add one count's worth of what all channels together, or else the level as a whole, show in a context."""
    whole = counts.sum(axis=(0, 1, 2))
    pooled = counts.sum(axis=0, keepdims=True) + 0.01 * whole / whole.sum()
    prior: NDArray[np.float64] = _PRIOR_COUNT * pooled / pooled.sum(axis=-1, keepdims=True)
    return counts + prior
