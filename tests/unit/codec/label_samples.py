"""Label maps and label tables to test with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from narrows.contract.codec import label_layout as layout
from narrows.contract.codec.label_tables import LabelTables, LabelTableSet

Labels = NDArray[np.uint8]


def scene(seed: int, shape: tuple[int, int], many: int) -> Labels:
    """Bands, boxes and thin poles, as segmented scenes have."""
    chance = np.random.default_rng(seed)
    height, width = shape
    labels = np.zeros(shape, dtype=np.uint8)
    bands = np.sort(chance.integers(0, height + 1, 3))
    for band, label in zip(bands, chance.integers(0, many, 3), strict=True):
        wave = np.rint(band + 2 * np.sin(np.arange(width) / 5)).astype(int)
        labels[np.arange(height)[:, None] >= wave[None, :]] = label
    for _ in range(4):
        y, x = chance.integers(0, height), chance.integers(0, width)
        tall, wide = chance.integers(1, 2 + height // 2), chance.integers(1, 2 + width // 3)
        labels[y : y + tall, x : x + wide] = chance.integers(0, many)
    return labels


def noise(seed: int, shape: tuple[int, int], many: int) -> Labels:
    """Every label as likely everywhere."""
    return np.random.default_rng(seed).integers(0, many, shape).astype(np.uint8)


def arbitrary_label_tables(seed: int, sets: int) -> LabelTables:
    """Sets whose trees and frequencies are random."""
    chance = np.random.default_rng(seed)
    return LabelTables(tuple(_arbitrary_set(chance) for _ in range(sets)))


def _arbitrary_set(chance: np.random.Generator) -> LabelTableSet:
    depths = _arbitrary_depths(chance, 0)
    ranks = [_arbitrary_frequencies(chance, layout.ENTRIES) for _ in range(len(depths) + 2)]
    two_way = [_arbitrary_frequencies(chance, 2) for _ in range(layout.OWN_TABLES - 2)]
    frequencies = np.array([*ranks[:-1], *two_way, ranks[-1]], dtype=np.uint16)
    return LabelTableSet(np.array(depths, dtype=np.uint8), frequencies)


def _arbitrary_depths(chance: np.random.Generator, depth: int) -> list[int]:
    if depth == layout.TESTS or chance.random() < depth / 8:
        return [depth]
    return _arbitrary_depths(chance, depth + 1) + _arbitrary_depths(chance, depth + 1)


def _arbitrary_frequencies(chance: np.random.Generator, entries: int) -> list[int]:
    shares = chance.dirichlet(np.full(entries, 0.3)) * (layout.TOTAL - entries)
    row = [1 + int(share) for share in shares]
    row[0] += layout.TOTAL - sum(row)
    return row + [0] * (layout.ENTRIES - entries)
