"""The integer tables that label maps are coded with: counted once, shipped as a file named by its hash.

::

    label tables ─┬─ set 0 ─┬─ leaves: which contexts share a table (depths of a prefix tree over the tests)
                  ├─ set 1  └─ frequencies: of each leaf, then of the contexts of runs and escapes
                  └─ ...        the encoder takes the set that makes a map smallest
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from narrows.contract.codec import label_layout as layout
from narrows.contract.codec.cursor import ByteCursor
from narrows.contract.codec.label_kernel import NativeSets
from narrows.contract.errors import BundleError

MAGIC = b"NRWL"
VERSION = 1
GENERAL = "general_labels.bin"
_TWO_WAY = slice(1, layout.OWN_TABLES - 1)
"""Of the tables behind the leaves': all but the break's and the recent labels' have two entries."""


@dataclass(frozen=True, eq=False)
class LabelTableSet:
    """Tables for one kind of map.

    Attributes:
        depths: of the tree's leaves, uint8, in ascending order of contexts; a leaf of depth d covers 2^(14 - d).
        frequencies: ``(leaves + OWN_TABLES, ENTRIES)`` uint16; a row's sum is 65536; 0 where a table has no entry.
    """

    depths: NDArray[np.uint8]
    frequencies: NDArray[np.uint16]

    @property
    def lookup(self) -> NDArray[np.uint16]:
        """The table of each context ``(CONTEXTS,)``."""
        leaves = np.arange(len(self.depths), dtype=np.uint16)
        covered = np.left_shift(1, layout.TESTS - self.depths.astype(np.intp))
        own = len(leaves) + np.arange(layout.OWN_TABLES, dtype=np.uint16)
        return np.concatenate([np.repeat(leaves, covered), own]).astype(np.uint16)

    def to_bytes(self) -> bytes:
        """Serialise."""
        count = len(self.depths)
        parts = [count.to_bytes(2, "little"), self.depths.tobytes()]
        own = self.frequencies[count:]
        parts += [_ranks_to_bytes(row) for row in (*self.frequencies[:count], own[0], own[-1])]
        parts.append(own[_TWO_WAY, 1].astype("<u2").tobytes())
        return b"".join(parts)


@dataclass(frozen=True, eq=False)
class LabelTables:
    """What codes label maps of any size with 2 to 255 labels; 1 to 8 sets."""

    sets: tuple[LabelTableSet, ...]

    @cached_property
    def native(self) -> NativeSets:
        """The tables as the kernel reads them."""
        return NativeSets([(each.lookup, each.frequencies) for each in self.sets])

    @cached_property
    def id(self) -> int:
        """The first 8 bytes of the file's SHA-256, big-endian: what a mask names its tables by."""
        return int.from_bytes(hashlib.sha256(self.to_bytes()).digest()[:8], "big")

    def to_bytes(self) -> bytes:
        """Serialise."""
        return b"".join((MAGIC, bytes((VERSION, len(self.sets))), *(each.to_bytes() for each in self.sets)))

    @classmethod
    def parse(cls, data: bytes) -> LabelTables:
        """Read a label tables file, whatever the bytes; nothing grows beyond a few megabytes.

        Raises:
            BundleError: the bytes are no label tables; the message says why.
        """
        cursor = ByteCursor(data, "a label tables file")
        if cursor.take(4) != MAGIC or cursor.byte() != VERSION:
            raise BundleError(f"a label tables file begins with {MAGIC!r} and version {VERSION}")
        sets = cursor.byte()
        if not 0 < sets <= layout.MAX_SETS:
            raise BundleError(f"label tables with {sets} sets; they have 1 to {layout.MAX_SETS}")
        tables = cls(tuple(_read_set(cursor) for _ in range(sets)))
        cursor.finish()
        return tables


@cache
def general_label_tables() -> LabelTables:
    """The tables for bundles that have none of their own; ``docs/label-coding.md`` says what they were counted on."""
    return LabelTables.parse(resources.files(__package__).joinpath(GENERAL).read_bytes())


def _read_set(cursor: ByteCursor) -> LabelTableSet:
    leaves = cursor.short()
    if not 0 < leaves <= layout.MAX_LEAVES:
        raise BundleError(f"a set of label tables with {leaves} leaves; it has 1 to {layout.MAX_LEAVES}")
    depths = cursor.bytes_array(leaves)
    _check_tree(depths)
    rows = [_read_ranks(cursor) for _ in range(leaves + 2)]
    two_way = np.zeros((layout.OWN_TABLES - 2, layout.ENTRIES), dtype=np.int64)
    two_way[:, 1] = cursor.shorts_array(len(two_way))
    two_way[:, 0] = layout.TOTAL - two_way[:, 1]
    if not two_way[:, 1].all():
        raise BundleError("a label table of two entries has a frequency of 0; each is at least 1")
    frequencies = np.concatenate([np.array(rows[:-1]), two_way, np.array(rows[-1:])])
    return LabelTableSet(depths, frequencies.astype(np.uint16))


def _check_tree(depths: NDArray[np.uint8]) -> None:
    """Leaves in order fill the contexts, each where its subtree may begin."""
    if int(depths.max()) > layout.TESTS:
        raise BundleError(f"a leaf of label tables at depth {int(depths.max())}; there are {layout.TESTS} tests")
    covered = np.left_shift(1, layout.TESTS - depths.astype(np.intp))
    begins = np.cumsum(covered) - covered
    if int(covered.sum()) != layout.BREAK or (begins % covered).any():
        raise BundleError(f"{len(depths)} leaves of label tables do not fill a tree")


def _ranks_to_bytes(row: NDArray[np.uint16]) -> bytes:
    """Bits 1 to 7 say which frequencies are not 1; those follow. The first is what is left of the sum."""
    kept = np.flatnonzero(row[1:] > 1) + 1
    return bytes((sum(1 << int(k) for k in kept),)) + row[kept].astype("<u2").tobytes()


def _read_ranks(cursor: ByteCursor) -> list[int]:
    bits = cursor.byte()
    kept = [k for k in range(1, layout.ENTRIES) if bits >> k & 1]
    row = [1] * layout.ENTRIES
    for k, frequency in zip(kept, cursor.shorts_array(len(kept)), strict=True):
        row[k] = int(frequency)
    row[0] = layout.TOTAL - sum(row[1:])
    if bits & 1 or row[0] < 1 or any(row[k] < 2 for k in kept):
        raise BundleError(f"a label table with the frequencies {row}; each is at least 1, those that are written 2")
    return row
