"""Tables and symbol planes to test with: arbitrary ones, and ones that look like a trained encoder's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from narrows.contract.codec import CodingTables, Memory, remember
from narrows.contract.codec.contexts import LevelContexts, Thresholds
from narrows.contract.codec.counting import Moments
from narrows.contract.codec.tables import LevelTables


def smooth_planes(count: int, shape: tuple[int, int, int], spread: float, seed: int) -> NDArray[np.int8]:
    """Planes ``(N, C, h, w)`` whose values hang together in space, mostly zero, some channels livelier than others."""
    chance = np.random.default_rng(seed)
    field = chance.standard_normal((count, *shape))
    for axis in (2, 3):
        for _ in range(3):
            field = field + np.roll(field, 1, axis)
    liveliness = np.geomspace(1.0, 0.1, shape[0])[:, None, None]
    field *= spread * liveliness / field.std()
    return np.clip(np.rint(field), -127, 127).astype(np.int8)


def remembered(earlier: NDArray[np.int8], later: NDArray[np.int8]) -> Memory:
    """The memory after two planes in turn, or after two sets of planes, one by one."""
    return remember(later, remember(earlier))


def moments(symbols: NDArray[np.int8], references: NDArray[np.int8]) -> Moments:
    """Symbols to be counted as P, each remembering but its reference."""
    return Moments(symbols, remember(references))


def arbitrary_tables(seed: int, channels: int, levels: int = 2, *, predicted: bool = True) -> CodingTables:
    """Valid tables with nothing typical about them: any weight, any look-up, tiny and full tables."""
    chance = np.random.default_rng(seed)
    key, predict = _two_thresholds(chance), _two_thresholds(chance)
    head = CodingTables(channels, key, predict if predicted else None, ())
    return replace(head, by_level=tuple(_arbitrary_level(chance, head) for _ in range(levels)))


def _two_thresholds(chance: np.random.Generator) -> Thresholds:
    return Thresholds(*(_thresholds(chance, int(chance.integers(0, 7))) for _ in range(2)))


def _thresholds(chance: np.random.Generator, count: int) -> tuple[int, ...]:
    return tuple(int(t) for t in np.sort(chance.choice(np.arange(1, 1024), count, replace=False)))


def _arbitrary_level(chance: np.random.Generator, head: CodingTables) -> LevelTables:
    live = np.flatnonzero(chance.random(head.channels) < 0.7).astype(np.uint16)
    frequencies = tuple(_frequencies(chance) for _ in range(int(chance.integers(1, 6))))

    def contexts(thresholds: Thresholds, taps: int) -> LevelContexts:
        shape = (len(live), thresholds.bins)
        entries = chance.integers(0, len(frequencies), shape) + 128 * chance.integers(0, 2, shape)
        magnitudes = chance.integers(0, 256, (len(live), 6)), chance.integers(0, 31, (len(live), taps))
        signs = chance.integers(-128, 128, (len(live), 6)), chance.integers(-30, 31, (len(live), taps))
        parents = tuple(_parents(chance, live[:k]) for k in range(len(live)))
        return LevelContexts(
            np.hstack(magnitudes).astype(np.uint8), np.hstack(signs).astype(np.int8), parents, entries.astype(np.uint8)
        )

    predicted = None if head.predict is None else contexts(head.predict, 9)
    return LevelTables(live, contexts(head.key, 0), predicted, frequencies)


def _frequencies(chance: np.random.Generator) -> NDArray[np.uint16]:
    size = int(chance.choice([2, 3, 4, 9, 254, 255]))
    cuts = np.sort(chance.choice(np.arange(1, 65536), size - 1, replace=False))
    if chance.random() < 0.5:
        cuts = 65536 - size + np.arange(1, size)  # almost all on the first value
    return np.diff(np.concatenate([[0], cuts, [65536]])).astype(np.uint16)


def _parents(chance: np.random.Generator, lower: NDArray[np.uint16]) -> tuple[tuple[int, int], ...]:
    chosen = chance.permutation(lower)[:2]
    return tuple((int(p), int(chance.integers(0, 256))) for p in chosen)


tables_of = st.builds(arbitrary_tables, st.integers(0, 2**32), st.integers(1, 6), predicted=st.booleans())


@st.composite
def planes(draw: st.DrawFn, channels: int) -> NDArray[np.int8]:
    """A plane of any small shape, from silent to extreme."""
    shape = channels, draw(st.integers(1, 7)), draw(st.integers(1, 19))
    most = draw(st.sampled_from([0, 1, 2, 15, 40, 127]))
    share = draw(st.sampled_from([0.02, 0.3, 1.0]))
    chance = np.random.default_rng(draw(st.integers(0, 2**32)))
    values = chance.integers(-most, most + 1, shape)
    return np.where(chance.random(shape) < share, values, 0).astype(np.int8)
