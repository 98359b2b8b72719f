"""What a design sends of a frame, in bytes of the real coders, by integer tables counted on training pictures.

::

    labels ─► label-map coder ──────────────────────────────┐
       └─► (most frequent around each symbol) ─► memory ──┐ ├─► bytes of a packet of format 2
    latent ─► quantise ─► symbols ─► symbol coder (P) ────┴─┘

In the layered design the symbol coder is the product's own, in the mode that it has for P packets: where those have the
frames before, this has what training symbols were on average under the label that was sent, a table of integers by
label and channel. So the label chooses the tables of the symbols, and no float decides a probability.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from narrows.contract.codec import (
    CodingTables,
    LabelTables,
    count_label_tables,
    count_tables,
    decode_symbols,
    encode_labels,
    encode_symbols,
)
from narrows.contract.codec.counting import Moments
from narrows.contract.codec.layout import MEMORY_UNIT

PACKET_BYTES = 16
"""Header and CRC of a packet of format 2 with one section (docs/wire-format.md, section 8)."""
SECTION_BYTES = 6
"""Of each section more: a length and a digest, rounded up."""
DIVISORS = (2, 4, 8)
"""Of the masks that weak cameras make; heads make logits at 1/4, from which the others follow."""
SENT_DIVISOR = 4
"""Of the masks that the cloud goes on from."""

Labels = NDArray[np.uint8]
Symbols = NDArray[np.int8]


@dataclass(frozen=True)
class LabelCoder:
    """Masks made at a camera, at each of :data:`DIVISORS`."""

    tables: LabelTables
    classes: int

    @classmethod
    def count(cls, masks_by_size: Sequence[Sequence[Labels]], classes: int) -> LabelCoder:
        """Tables of what a camera made of training pictures, a group for each size."""
        return cls(count_label_tables(masks_by_size, classes), classes)

    def bytes_of(self, mask: Labels) -> int:
        """Of the payload of ``(h, w)``."""
        return len(encode_labels(np.ascontiguousarray(mask), self.classes, self.tables))


@dataclass(frozen=True, eq=False)
class SymbolCoder:
    """Symbols at one level; with ``memory`` ``(labels, C)`` int16, given the labels that were sent before them."""

    tables: CodingTables
    memory: NDArray[np.int16] | None

    @classmethod
    def count(cls, symbols: Symbols, labels: Labels | None, classes: int) -> SymbolCoder:
        """Tables of training symbols ``(N, C, h, w)``; labels are ``(N, h, w)``, one a place."""
        if labels is None:
            return cls(count_tables([symbols]), None)
        contenders: list[tuple[int, int, SymbolCoder]] = []
        for of_place in (symbols, np.abs(symbols)):
            memory = mean_by_label(of_place, labels, classes)
            coder = cls(count_tables([symbols], [Moments(symbols, _spread(memory, labels))]), memory)
            some = range(0, len(symbols), max(1, len(symbols) // 32))
            contenders.append((sum(len(coder.encode(symbols[i], labels[i])) for i in some), len(contenders), coder))
        return min(contenders)[-1]

    def encode(self, symbols: Symbols, labels: Labels | None) -> bytes:
        """The payload of ``(C, h, w)``, dead channels silenced."""
        silenced = self.tables.silence(symbols, 0)
        return encode_symbols(silenced, self.tables, 0, self._memory_of(labels))

    def decode(self, payload: bytes, shape: tuple[int, int, int], labels: Labels | None) -> Symbols:
        """What a cloud reads."""
        return decode_symbols(payload, shape, self.tables, 0, self._memory_of(labels))

    def _memory_of(self, labels: Labels | None) -> NDArray[np.int16] | None:
        return None if self.memory is None or labels is None else _spread(self.memory, labels[None])[0]


def mean_by_label(symbols: Symbols, labels: Labels, classes: int) -> NDArray[np.int16]:
    """``(labels, C)`` int16: the mean symbol of each channel under each label, in the unit of a memory."""
    found = np.zeros((classes, symbols.shape[1]), dtype=np.int16)
    by_place = symbols.transpose(0, 2, 3, 1)
    for label in range(classes):
        if (under := by_place[labels == label]).size:
            found[label] = np.rint(under.mean(axis=0, dtype=np.float64) * MEMORY_UNIT).astype(np.int16)
    return found


def _spread(memory: NDArray[np.int16], labels: Labels) -> NDArray[np.int16]:
    return np.ascontiguousarray(memory[labels].transpose(0, 3, 1, 2))
