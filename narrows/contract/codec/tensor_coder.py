"""The symbols of a tensor as bytes: the project's integer rANS, its tables counted on calibration pictures.

The symbol coder takes values up to 127. Larger ones are coded by magnitude in steps of ``2 ** low_bits``, and those low
bits follow, packed; of zeros none::

    |symbol| = (m − 1) · 2^low_bits + low + 1      m with the symbol's sign ─► rANS      low ─► packed
    0        = 0

What is larger than those can say is an escape: its coarse symbol is 127, and of low bits it has none, but its magnitude
in 16 bits behind those of the others. So a picture may go beyond what calibration has seen, and costs bytes where it
does.

Payload: the length of the rANS part as 4 bytes, little endian, the part, the packed bits; where there are neither low
bits nor escapes the rANS part alone.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.contract.codec import layout
from narrows.contract.codec.counting import count_tables
from narrows.contract.codec.symbols import decode_symbols, encode_symbols
from narrows.contract.codec.tables import CodingTables
from narrows.contract.codec.tensor_quantiser import MOST_MAGNITUDE, Symbols
from narrows.contract.errors import FieldInvalid, PayloadUndecodable

_LENGTH = struct.Struct("<I")
MOST_BITS = MOST_MAGNITUDE.bit_length()


@dataclass(frozen=True, eq=False)
class TensorCoder:
    """Codes the planes ``(C, h, w)`` int32 of one tensor; ``most`` is the largest magnitude that it takes."""

    tables: CodingTables
    low_bits: int
    most: int

    def encode(self, symbols: Symbols) -> bytes:
        """A payload.

        Raises:
            FieldInvalid: the shape does not fit the tables, or a value is beyond ``most``.
        """
        if np.abs(symbols).max(initial=0) > self.most:
            raise FieldInvalid(f"a symbol of magnitude {np.abs(symbols).max()}; these tables take {self.most} at most")
        coarse, low = _parted(symbols, self.low_bits)
        escaped = self._escaped(coarse)
        live = self.tables.live(0)
        if coarse[~live].any():
            raise FieldInvalid(
                "a channel that was always zero at calibration is not: count the tables on more pictures"
            )
        coded = encode_symbols(coarse, self.tables, 0)
        if not (self.low_bits or self.escapes):
            return coded
        bits = [_as_bits(low[~escaped[coarse != 0]], self.low_bits), _as_bits(np.abs(symbols[escaped]), MOST_BITS)]
        return _LENGTH.pack(len(coded)) + coded + np.packbits(np.concatenate([each.ravel() for each in bits])).tobytes()

    def decode(self, payload: bytes, shape: tuple[int, int, int]) -> Symbols:
        """The symbols ``shape`` int32.

        Raises:
            PayloadUndecodable: the payload ran out, left bytes over, or does not fit.
            FieldInvalid: the shape does not fit the tables.
        """
        if not (self.low_bits or self.escapes):
            return decode_symbols(payload, shape, self.tables, 0).astype(np.int32)
        if len(payload) < _LENGTH.size:
            raise PayloadUndecodable(f"a payload of {len(payload)} bytes has no length before its symbols")
        end = _LENGTH.size + _LENGTH.unpack_from(payload)[0]
        if end > len(payload):
            raise PayloadUndecodable(f"a payload of {len(payload)} bytes says that its symbols end at {end}")
        coarse = decode_symbols(payload[_LENGTH.size : end], shape, self.tables, 0).astype(np.int32)
        escaped = self._escaped(coarse)
        others = (coarse != 0) & ~escaped
        low_bits, escape_bits = int(others.sum()) * self.low_bits, int(escaped.sum()) * MOST_BITS
        wanted_bits = low_bits + escape_bits
        packed = payload[end:]
        if len(packed) != (wanted_bits + 7) // 8:
            raise PayloadUndecodable(f"a payload has {len(packed)} bytes of low bits; {wanted_bits} bits are wanted")
        bits = np.unpackbits(np.frombuffer(packed, np.uint8), count=wanted_bits)
        low = _as_numbers(bits[:low_bits], self.low_bits, int(others.sum()))
        symbols = np.zeros_like(coarse)
        symbols[others] = ((np.abs(coarse[others]) - 1) << self.low_bits) + low + 1
        symbols[escaped] = _as_numbers(bits[low_bits:], MOST_BITS, int(escaped.sum()))
        if symbols.max(initial=0) > self.most:
            raise PayloadUndecodable(f"a symbol of magnitude {symbols.max()}; these tables take {self.most} at most")
        return symbols * np.sign(coarse)

    @property
    def escapes(self) -> bool:
        """Whether some magnitudes are larger than coarse symbol and low bits can say."""
        return self.most > layout.MAX_SYMBOL << self.low_bits

    def _escaped(self, coarse: NDArray[np.integer[Any]]) -> NDArray[np.bool_]:
        """Which of the coarse symbols say that the magnitude follows."""
        largest: NDArray[np.bool_] = np.abs(coarse.astype(np.int32)) == layout.MAX_SYMBOL
        return largest & self.escapes


def fit_coder(planes: Sequence[Symbols], most: int, usual: int | None = None) -> TensorCoder:
    """Count tables on the symbols of calibration pictures, each ``(C, h, w)``.

    ``most`` is the largest magnitude that will be coded; what is larger than ``usual`` may be an escape.

    Raises:
        FieldInvalid: there are no planes, or their symbols need more than 16 bits.
    """
    if not planes or not 0 <= most < 2**MOST_BITS:
        raise FieldInvalid(f"tables for {len(planes)} planes of magnitudes up to {most}: one plane and 65535 at most")
    usual = most if usual is None else min(usual, most)
    low_bits = next(bits for bits in range(MOST_BITS) if (usual + (1 << bits) - 1) >> bits <= layout.MAX_SYMBOL)
    coarse = np.stack([_parted(each, low_bits)[0] for each in planes])
    coarse[0] += _one_where_silent(coarse)
    return TensorCoder(count_tables([coarse]), low_bits, most)


def _one_where_silent(coarse: NDArray[np.int8]) -> NDArray[np.int8]:
    """A single 1 in each channel that calibration has at zero throughout: other pictures may not."""
    silent = ~(coarse != 0).any(axis=(0, 2, 3))
    mark = np.zeros(coarse.shape[1:], dtype=np.int8)
    mark[silent, 0, 0] = 1
    return mark


def _parted(symbols: Symbols, low_bits: int) -> tuple[NDArray[np.int8], NDArray[np.int32]]:
    """Coarse symbols int8, and the low bits of those that are not zero, in order."""
    magnitude = np.abs(symbols)
    coarse = np.minimum((magnitude + (1 << low_bits) - 1) >> low_bits, layout.MAX_SYMBOL)
    signed = (np.sign(symbols) * coarse).astype(np.int8)
    return np.ascontiguousarray(signed), (magnitude[magnitude > 0] - 1) & ((1 << low_bits) - 1)


def _as_bits(values: NDArray[np.int32], width: int) -> NDArray[np.uint8]:
    """Most significant first."""
    return ((values[:, None] >> np.arange(width)[::-1]) & 1).astype(np.uint8)


def _as_numbers(bits: NDArray[np.uint8], width: int, count: int) -> NDArray[np.int64]:
    numbers: NDArray[np.int64] = bits.reshape(count, width) @ (1 << np.arange(width)[::-1])
    return numbers
