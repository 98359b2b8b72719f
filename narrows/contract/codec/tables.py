"""The integer tables that a bundle ships: contexts to tables to frequencies, a level at a time.

::

    contexts of K, of P ──► bin ──► look-up [channel][bin] ──► table ──► frequencies

The file is specified in ``docs/symbol-coding.md``. Nothing in it is a float.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from narrows.contract.codec import kernel, layout
from narrows.contract.codec.contexts import NEIGHBOURS, TAPS, LevelContexts, Thresholds, native_arrays, read_channel
from narrows.contract.codec.cursor import ByteCursor
from narrows.contract.errors import BundleError, FieldInvalid

MAGIC = b"NRWT"
VERSION = 1
_HAS_PREDICTED = 1


@dataclass(frozen=True, eq=False)
class LevelTables:
    """One rate level's tables.

    Attributes:
        channels: the coded channels, ascending ``(n,)`` uint16; all others are dead: zero, and cost nothing.
        key: the contexts of K packets.
        predicted: the contexts of P packets, or ``None`` where only K is coded.
        frequencies: of each table, uint16, the escape last.
    """

    channels: NDArray[np.uint16]
    key: LevelContexts
    predicted: LevelContexts | None
    frequencies: tuple[NDArray[np.uint16], ...]


@dataclass(frozen=True, eq=False)
class CodingTables:
    """All levels' tables. ``levels`` and ``channels`` say how many there are.

    Attributes:
        channels: channels of the symbol plane.
        key: the thresholds of K packets.
        predict: the thresholds of P packets, ``None`` where only K is coded.
        by_level: the tables of each level.
    """

    channels: int
    key: Thresholds
    predict: Thresholds | None
    by_level: tuple[LevelTables, ...]

    @property
    def levels(self) -> int:
        """How many rate levels there are."""
        return len(self.by_level)

    @property
    def predicted(self) -> bool:
        """Whether P packets can be coded."""
        return self.predict is not None

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
        head = bytes((VERSION, self.levels, _HAS_PREDICTED if self.predicted else 0, 0))
        thresholds = b"" if self.predict is None else self.predict.to_bytes()
        levels = (_level_to_bytes(self.channels, level) for level in self.by_level)
        return b"".join((MAGIC, head, self.channels.to_bytes(2, "little"), self.key.to_bytes(), thresholds, *levels))

    @classmethod
    def from_bytes(cls, data: bytes) -> CodingTables:
        """Read a tables file, whatever the bytes; nothing grows beyond a few times their length.

        Raises:
            BundleError: the bytes are no tables file; the message says why.
            KernelMissing: the coder is not compiled, so there is nothing to code with.
        """
        cursor = ByteCursor(data)
        if cursor.take(4) != MAGIC or cursor.byte() != VERSION:
            raise BundleError(f"a coding tables file begins with {MAGIC!r} and version {VERSION}")
        levels, flags, reserved, channels = cursor.byte(), cursor.byte(), cursor.byte(), cursor.short()
        if flags & ~_HAS_PREDICTED or reserved:
            raise BundleError(
                f"coding tables with flags {flags:#x} and a reserved byte of {reserved}: another version's"
            )
        if not (0 < levels <= layout.MAX_LEVELS and 0 < channels <= layout.MAX_CHANNELS):
            raise BundleError(f"coding tables for {levels} levels of {channels} channels are beyond the limits")
        key = Thresholds.read(cursor)
        head = cls(channels, key, Thresholds.read(cursor) if flags & _HAS_PREDICTED else None, ())
        by_level = tuple(_level_from_bytes(cursor, head) for _ in range(levels))
        cursor.finish()
        tables = replace(head, by_level=by_level)
        _ = tables.native
        return tables


def _level_to_bytes(channels: int, level: LevelTables) -> bytes:
    live = np.zeros(channels, dtype=np.uint8)
    live[level.channels] = 1
    parts = [np.packbits(live, bitorder="little").tobytes(), bytes((len(level.frequencies),))]
    for table in level.frequencies:
        parts += [bytes((len(table),)), table.astype("<u2").tobytes()]
    for k in range(len(level.channels)):
        parts.append(level.key.channel_to_bytes(k))
        if level.predicted is not None:
            parts.append(level.predicted.channel_to_bytes(k))
    return b"".join(parts)


def _level_from_bytes(cursor: ByteCursor, head: CodingTables) -> LevelTables:
    live = np.unpackbits(cursor.bytes_array((head.channels + 7) // 8), bitorder="little")
    if live[head.channels :].any():
        raise BundleError(f"a bit mask of live channels names one beyond {head.channels}")
    channels = np.flatnonzero(live).astype(np.uint16)
    frequencies = _frequencies(cursor)
    key, predicted = [], []
    for channel in channels:
        key.append(read_channel(cursor, head.key, NEIGHBOURS, int(channel), live, len(frequencies)))
        if head.predict is not None:
            weights = NEIGHBOURS + TAPS
            predicted.append(read_channel(cursor, head.predict, weights, int(channel), live, len(frequencies)))
    return LevelTables(
        channels=channels,
        key=LevelContexts.joined(key, head.key, NEIGHBOURS),
        predicted=None if head.predict is None else LevelContexts.joined(predicted, head.predict, NEIGHBOURS + TAPS),
        frequencies=frequencies,
    )


def _frequencies(cursor: ByteCursor) -> tuple[NDArray[np.uint16], ...]:
    count = cursor.byte()
    if not 0 < count <= layout.MAX_TABLES:
        raise BundleError(f"a level with {count} tables; it has 1 to {layout.MAX_TABLES}")
    tables = tuple(cursor.shorts_array(cursor.byte()) for _ in range(count))
    for i, table in enumerate(tables):
        total = int(table.sum(dtype=np.int64))
        if len(table) < 2 or not table.all() or total != layout.TOTAL:
            raise BundleError(f"table {i} has {len(table)} frequencies with sum {total}; each is at least 1, all 65536")
    return tables


def _to_native(tables: CodingTables, level: LevelTables) -> kernel.NativeLevel:
    predicted = None
    if tables.predict is not None and level.predicted is not None:
        predicted = native_arrays(tables.predict, level.predicted, level.channels, level.frequencies)
    return kernel.NativeLevel(
        channels=tables.channels,
        channel=level.channels,
        frequencies=level.frequencies,
        key=native_arrays(tables.key, level.key, level.channels, level.frequencies),
        predicted=predicted,
    )
