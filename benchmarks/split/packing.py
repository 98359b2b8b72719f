"""How DynO packs what crosses, beside our coder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import lz4.frame
import numpy as np
from numpy.typing import NDArray

from narrows.contract.codec.tensor_quantiser import Symbols
from narrows.models.split.design import Rounding

Planes = Mapping[str, Symbols]


def bits_side_by_side(rounding: Rounding, symbols: Planes) -> bytes:
    """The bits of one significance one behind the other, as in the paper."""
    planes = []
    for unsigned in _unsigned(rounding, symbols):
        width = int(unsigned.max(initial=1)).bit_length()
        planes += [np.packbits(((unsigned >> bit) & 1).astype(np.uint8)).tobytes() for bit in range(width)]
    return b"".join(planes)


def a_symbol_a_byte(rounding: Rounding, symbols: Planes) -> bytes:
    """Their low bytes."""
    return b"".join(unsigned.astype(np.uint8).tobytes() for unsigned in _unsigned(rounding, symbols))


PACKINGS: tuple[Callable[[Rounding, Planes], bytes], ...] = (bits_side_by_side, a_symbol_a_byte)
"""What LZ4 is given; the better of the two counts."""


def lz4_of(data: bytes) -> bytes:
    """As DynO compresses."""
    return bytes(lz4.frame.compress(data, store_size=False))


def lz4_bytes(rounding: Rounding, symbols: Planes) -> int:
    """Of the better packing."""
    return min(len(lz4_of(pack(rounding, symbols))) for pack in PACKINGS)


def _unsigned(rounding: Rounding, symbols: Planes) -> Iterator[NDArray[np.uint32]]:
    for name, quantiser in rounding.quantisers.items():
        yield quantiser.unsigned(symbols[name]).ravel()
