"""The integer tables that a bundle ships: contexts to tables to frequencies, a level at a time.

::

    neighbours, parents ──► weighted sums ──► bin ──► look-up [channel][reference class][bin] ──► table ──► frequencies

The file is specified in ``docs/symbol-coding.md``. Nothing in it is a float.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from narrows.codec import kernel, layout
from narrows.codec.cursor import Cursor
from narrows.errors import BundleError, FieldInvalid

MAGIC = b"NRWT"
VERSION = 1
_HAS_PREDICTED = 1


@dataclass(frozen=True, eq=False)
class LevelTables:
    """One rate level's tables.

    Attributes:
        channels: the coded channels, ascending ``(n,)`` uint16; all others are dead: zero, and cost nothing.
        magnitude_weights: ``(n, 6)`` uint8, how far each neighbour's magnitude counts.
        sign_weights: ``(n, 6)`` int8, how far each neighbour's value counts for the sign.
        parents: for each coded channel, ``(channel, weight)`` of lower coded channels whose magnitudes count.
        key_lookup: ``(n, bins)`` uint8, table index, plus ``FLIP``.
        predicted_lookup: ``(n, 2 * radius + 1, bins)`` uint8, or ``None`` where only K is coded.
        frequencies: of each table, uint16, the escape last.
    """

    channels: NDArray[np.uint16]
    magnitude_weights: NDArray[np.uint8]
    sign_weights: NDArray[np.int8]
    parents: tuple[tuple[tuple[int, int], ...], ...]
    key_lookup: NDArray[np.uint8]
    predicted_lookup: NDArray[np.uint8] | None
    frequencies: tuple[NDArray[np.uint16], ...]


@dataclass(frozen=True, eq=False)
class CodingTables:
    """All levels' tables. ``levels`` and ``channels`` say how many there are.

    Attributes:
        channels: channels of the symbol plane.
        magnitude_thresholds: ascending; a bin is how many of them the magnitude sum reaches.
        sign_thresholds: ascending; a class is how many of them the signed sum reaches, either way.
        reference_radius: reference symbols are clipped to this for P, 0 where only K is coded.
        by_level: the tables of each level.
    """

    channels: int
    magnitude_thresholds: tuple[int, ...]
    sign_thresholds: tuple[int, ...]
    reference_radius: int
    by_level: tuple[LevelTables, ...]

    @property
    def levels(self) -> int:
        """How many rate levels there are."""
        return len(self.by_level)

    @property
    def predicted(self) -> bool:
        """Whether P packets can be coded."""
        return self.reference_radius > 0

    @property
    def bins(self) -> int:
        """Contexts of a channel and reference class."""
        return (len(self.magnitude_thresholds) + 1) * (2 * len(self.sign_thresholds) + 1)

    @cached_property
    def native(self) -> tuple[kernel.NativeLevel, ...]:
        """The tables as the kernel reads them."""
        return tuple(_to_native(self, level) for level in self.by_level)

    def live(self, level: int) -> NDArray[np.bool_]:
        """Which channels are coded at a level ``(C,)``; the others are always zero.

        Raises:
            FieldInvalid: there is no such level.
        """
        mask = np.zeros(self.channels, dtype=np.bool_)
        mask[self.at(level).channels] = True
        return mask

    def silence(self, symbols: NDArray[np.int8], level: int) -> NDArray[np.int8]:
        """A copy ``(C, h, w)`` with the dead channels zeroed: what a camera codes and takes the digest of.

        Raises:
            FieldInvalid: there is no such level, or the number of channels differs.
        """
        mask = self.live(level)
        if symbols.ndim != 3 or symbols.shape[0] != self.channels:
            raise FieldInvalid(f"symbols of shape {symbols.shape}; these tables have {self.channels} channels")
        return np.ascontiguousarray(symbols * mask[:, None, None])

    def at(self, level: int) -> LevelTables:
        """The tables of a level.

        Raises:
            FieldInvalid: there is no such level.
        """
        if not 0 <= level < self.levels:
            raise FieldInvalid(f"level {level}; these tables have levels 0 to {self.levels - 1}")
        return self.by_level[level]

    def to_bytes(self) -> bytes:
        """Serialise."""
        head = bytes((VERSION, self.levels, _HAS_PREDICTED if self.predicted else 0, self.reference_radius))
        counts = bytes((len(self.magnitude_thresholds), len(self.sign_thresholds)))
        thresholds = np.array(self.magnitude_thresholds + self.sign_thresholds, dtype="<u2").tobytes()
        levels = (_level_to_bytes(self.channels, level) for level in self.by_level)
        return b"".join((MAGIC, head, self.channels.to_bytes(2, "little"), counts, thresholds, *levels))

    @classmethod
    def from_bytes(cls, data: bytes) -> CodingTables:
        """Read a tables file, whatever the bytes; nothing grows beyond a few times their length.

        Raises:
            BundleError: the bytes are no tables file; the message says why.
            KernelMissing: the coder is not compiled, so there is nothing to code with.
        """
        cursor = Cursor(data)
        if cursor.take(4) != MAGIC or cursor.byte() != VERSION:
            raise BundleError(f"a coding tables file begins with {MAGIC!r} and version {VERSION}")
        levels, flags, radius = cursor.byte(), cursor.byte(), cursor.byte()
        channels, magnitudes, signs = cursor.short(), cursor.byte(), cursor.byte()
        thresholds = tuple(int(v) for v in cursor.shorts_array(magnitudes + signs))
        head = cls(channels, thresholds[:magnitudes], thresholds[magnitudes:], radius, ())
        _check_head(head, levels, flags)
        by_level = tuple(_level_from_bytes(cursor, head) for _ in range(levels))
        cursor.finish()
        tables = replace(head, by_level=by_level)
        _ = tables.native
        return tables


def _check_head(head: CodingTables, levels: int, flags: int) -> None:
    if not (0 < levels <= layout.MAX_LEVELS and 0 < head.channels <= layout.MAX_CHANNELS):
        raise BundleError(f"coding tables for {levels} levels of {head.channels} channels are beyond the limits")
    if head.reference_radius > layout.MAX_REFERENCE_RADIUS or flags != (_HAS_PREDICTED if head.predicted else 0):
        raise BundleError(f"coding tables with flags {flags:#x} and reference radius {head.reference_radius}")
    if head.bins > layout.MAX_BINS:
        raise BundleError(f"coding tables with {head.bins} contexts a channel; at most {layout.MAX_BINS}")
    for thresholds in (head.magnitude_thresholds, head.sign_thresholds):
        bounds = (0, *thresholds, layout.CONTEXT_LIMIT + 1)
        if any(low >= high for low, high in pairwise(bounds)):
            raise BundleError(f"context thresholds {thresholds} do not ascend from 1 to {layout.CONTEXT_LIMIT}")


def _level_to_bytes(channels: int, level: LevelTables) -> bytes:
    live = np.zeros(channels, dtype=np.uint8)
    live[level.channels] = 1
    parts = [np.packbits(live, bitorder="little").tobytes(), bytes((len(level.frequencies),))]
    for table in level.frequencies:
        parts += [bytes((len(table),)), table.astype("<u2").tobytes()]
    for k, parents in enumerate(level.parents):
        parts += [level.magnitude_weights[k].tobytes(), level.sign_weights[k].tobytes(), bytes((len(parents),))]
        parts += [struct.pack("<HB", channel, weight) for channel, weight in parents]
        parts.append(level.key_lookup[k].tobytes())
        if level.predicted_lookup is not None:
            parts.append(level.predicted_lookup[k].tobytes())
    return b"".join(parts)


def _level_from_bytes(cursor: Cursor, head: CodingTables) -> LevelTables:
    bits = np.unpackbits(cursor.bytes_array((head.channels + 7) // 8), bitorder="little")
    if bits[head.channels :].any():
        raise BundleError(f"a bit mask of live channels names one beyond {head.channels}")
    live = np.flatnonzero(bits).astype(np.uint16)
    frequencies = _frequencies(cursor)
    coded = [_channel(cursor, head, int(channel), bits, len(frequencies)) for channel in live]
    neighbours = len(layout.NEIGHBOUR_OFFSETS)
    return LevelTables(
        channels=live,
        magnitude_weights=np.array([c.magnitude_weights for c in coded], dtype=np.uint8).reshape(-1, neighbours),
        sign_weights=np.array([c.sign_weights for c in coded], dtype=np.int8).reshape(-1, neighbours),
        parents=tuple(c.parents for c in coded),
        key_lookup=np.array([c.key for c in coded], dtype=np.uint8).reshape(-1, head.bins),
        predicted_lookup=_stack_predicted(coded, head),
        frequencies=frequencies,
    )


def _frequencies(cursor: Cursor) -> tuple[NDArray[np.uint16], ...]:
    count = cursor.byte()
    if not 0 < count <= layout.MAX_TABLES:
        raise BundleError(f"a level with {count} tables; it has 1 to {layout.MAX_TABLES}")
    tables = tuple(cursor.shorts_array(cursor.byte()) for _ in range(count))
    for i, table in enumerate(tables):
        total = int(table.sum(dtype=np.int64))
        if len(table) < 2 or not table.all() or total != layout.TOTAL:
            raise BundleError(f"table {i} has {len(table)} frequencies with sum {total}; each is at least 1, all 65536")
    return tables


class _Channel(NamedTuple):
    magnitude_weights: NDArray[np.uint8]
    sign_weights: NDArray[np.int8]
    parents: tuple[tuple[int, int], ...]
    key: NDArray[np.uint8]
    predicted: NDArray[np.uint8] | None


def _channel(cursor: Cursor, head: CodingTables, channel: int, live: NDArray[np.uint8], tables: int) -> _Channel:
    neighbours = len(layout.NEIGHBOUR_OFFSETS)
    magnitude_weights = cursor.bytes_array(neighbours)
    sign_weights = cursor.bytes_array(neighbours).view(np.int8)
    parents = tuple((cursor.short(), cursor.byte()) for _ in range(cursor.byte()))
    for parent, _ in parents:
        if parent >= channel or not live[parent]:
            raise BundleError(f"channel {channel} has parent {parent}; a parent is live and coded before")
    if (total := int(magnitude_weights.sum()) + sum(weight for _, weight in parents)) > layout.MAX_WEIGHT_SUM:
        raise BundleError(f"channel {channel} has magnitude weights of {total} in all; at most {layout.MAX_WEIGHT_SUM}")
    key = cursor.bytes_array(head.bins)
    predicted = cursor.bytes_array(2 * head.reference_radius + 1, head.bins) if head.predicted else None
    for lookup in (key, predicted):
        if lookup is not None and (lookup & ~np.uint8(layout.FLIP)).max() >= tables:
            raise BundleError(f"channel {channel} looks up a table that is not there; there are {tables}")
    return _Channel(magnitude_weights, sign_weights, parents, key, predicted)


def _stack_predicted(coded: list[_Channel], head: CodingTables) -> NDArray[np.uint8] | None:
    if not head.predicted:
        return None
    shape = (-1, 2 * head.reference_radius + 1, head.bins)
    return np.array([c.predicted for c in coded], dtype=np.uint8).reshape(shape)


def _to_native(tables: CodingTables, level: LevelTables) -> kernel.NativeLevel:
    position = {int(channel): k for k, channel in enumerate(level.channels)}
    pairs = [(position[channel], weight) for parents in level.parents for channel, weight in parents]
    begins = np.cumsum([0, *(len(parents) for parents in level.parents)], dtype=np.uint32)
    limit = layout.CONTEXT_LIMIT
    classes = 2 * len(tables.sign_thresholds) + 1
    bins = np.searchsorted(tables.magnitude_thresholds, np.arange(limit + 1), side="right") * classes
    reached = np.searchsorted(tables.sign_thresholds, np.arange(limit + 1), side="right")
    middle = len(tables.sign_thresholds)
    sign_class = np.concatenate([middle - reached[:0:-1], middle + reached])
    return kernel.NativeLevel(
        channels=tables.channels,
        bins=tables.bins,
        reference_radius=tables.reference_radius,
        channel=level.channels,
        magnitude_weights=level.magnitude_weights,
        sign_weights=level.sign_weights,
        parents_begin=begins,
        parents=np.array([p for p, _ in pairs], dtype=np.uint16),
        parent_weights=np.array([w for _, w in pairs], dtype=np.uint8),
        magnitude_bin=bins.astype(np.uint8),
        sign_class=sign_class.astype(np.uint8),
        key_lookup=level.key_lookup,
        predicted_lookup=level.predicted_lookup,
        frequencies=level.frequencies,
    )
