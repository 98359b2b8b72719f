"""A latent's way into a payload and back.

::

    latent ─ quantise ─► int8 symbols ─ silence ─► encode_symbols ─► payload ─► decode_symbols ─► int8 symbols
                                           │            ▲                          ▲                   │
                                           └► remember ─┴── memory of the frames since the last K ─────┴─◄ remember
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from narrows.contract.codec import kernel, layout
from narrows.contract.codec.kernel import NativeLevel
from narrows.contract.codec.tables import CodingTables
from narrows.contract.errors import FieldInvalid, FrameRefused, PayloadUndecodable

Memory = NDArray[np.int16]
"""What a camera and the cloud remember of a place's symbols since the last K ``(C, h, w)``, in eighths of a symbol."""


def quantise(latent: NDArray[np.float32], gain: NDArray[np.float32]) -> NDArray[np.int8]:
    """``clip(round(gain * latent), -127, 127)``, halves to even, not-a-number to 0.

    Args:
        latent: ``(C, h, w)`` float32.
        gain: ``(C,)`` float32, positive.

    Raises:
        FieldInvalid: the shapes do not fit.
    """
    if latent.ndim != 3 or gain.shape != latent.shape[:1]:
        raise FieldInvalid(f"a latent of shape {latent.shape} with gains of shape {gain.shape}")
    scaled = np.rint(latent * gain[:, None, None])
    most = layout.MAX_SYMBOL
    symbols: NDArray[np.int8] = np.nan_to_num(np.clip(scaled, -most, most), copy=False, nan=0.0).astype(np.int8)
    return symbols


def encode_symbols(symbols: NDArray[np.int8], tables: CodingTables, level: int, memory: Memory | None = None) -> bytes:
    """The payload of a plane ``(C, h, w)`` int8; with a memory of the same shape, as P. Never empty.

    Raises:
        FieldInvalid: shape, type or level do not fit the tables, a value is -128, or a dead channel is not zero
            (``CodingTables.silence`` zeroes them).
    """
    native = _native(tables, level, memory)
    _check_plane(symbols, tables, symbols.shape)
    memory = _checked_memory(memory, symbols.shape)
    if symbols.min() < -layout.MAX_SYMBOL:
        raise FieldInvalid("a symbol is -128; they lie from -127 to 127")
    if symbols[~tables.live(level)].any():
        raise FieldInvalid(f"a channel that is dead at level {level} is not zero: code tables.silence(symbols, level)")
    return native.encode(np.ascontiguousarray(symbols), memory)


def decode_symbols(
    payload: bytes,
    shape: tuple[int, int, int],
    tables: CodingTables,
    level: int,
    memory: Memory | None = None,
) -> NDArray[np.int8]:
    """The plane ``shape`` (C, h, w) int8 that a payload codes, given the same memory as its encoder had.

    Raises:
        PayloadUndecodable: the payload ran out, ended in the wrong state or left bytes over.
        FieldInvalid: shape or level do not fit the tables.
    """
    native = _native(tables, level, memory)
    _check_shape(shape, tables)
    memory = _checked_memory(memory, shape)
    symbols = np.zeros(shape, dtype=np.int8)
    if (wrong := native.decode(payload, memory, symbols)) is not None:
        raise _undecodable(payload, shape, level, wrong)
    return symbols


class CodedPlane(Struct, frozen=True):
    """What :func:`decode_symbols` takes."""

    payload: bytes
    shape: tuple[int, int, int]
    tables: CodingTables
    level: int
    memory: Memory | None = None

    @property
    def size(self) -> int:
        """How many symbols it has."""
        return math.prod(self.shape)


class DecodedPlane(NamedTuple):
    """A plane's symbols ``(C, h, w)`` int8, and :func:`symbol_digest` of them."""

    symbols: NDArray[np.int8]
    digest: int


def decode_planes(planes: Sequence[CodedPlane]) -> list[DecodedPlane | FrameRefused]:
    """What :func:`decode_symbols` answers for each, or raises; in one call of the kernel.

    While the state of one payload is waited for, another's is worked on: two at a time of those that follow one another
    and are alike (tables, level, shape, K or P). One that is refused costs the others nothing.
    """
    found = [_prepared(plane) for plane in planes]
    ready = [each for each in found if isinstance(each, _Prepared)]
    words = max((each.scratch_words for each in ready), default=0)
    answers = iter(kernel.decode_planes([each.laid_out for each in ready], words))
    return [
        each.answered(plane, *next(answers)) if isinstance(each, _Prepared) else each
        for each, plane in zip(found, planes, strict=True)
    ]


class _Prepared(Struct, frozen=True):
    """A plane that fits its tables; ``laid_out`` points into ``symbols`` and ``memory``."""

    symbols: NDArray[np.int8]
    memory: Memory | None
    scratch_words: int
    laid_out: kernel.LaidOut

    def answered(self, plane: CodedPlane, wrong: str | None, digest: int | None) -> DecodedPlane | PayloadUndecodable:
        """The plane, or what was wrong with its payload."""
        if wrong is not None:
            return _undecodable(plane.payload, plane.shape, plane.level, wrong)
        return DecodedPlane(self.symbols, symbol_digest(self.symbols) if digest is None else digest)


def _prepared(plane: CodedPlane) -> _Prepared | FieldInvalid:
    try:
        native = _native(plane.tables, plane.level, plane.memory)
        _check_shape(plane.shape, plane.tables)
        memory = _checked_memory(plane.memory, plane.shape)
    except FieldInvalid as invalid:
        return invalid
    symbols = np.zeros(plane.shape, dtype=np.int8)
    words = native.scratch_words(*plane.shape[1:])
    return _Prepared(symbols, memory, words, native.plane(plane.payload, memory, symbols))


def _undecodable(payload: bytes, shape: tuple[int, int, int], level: int, wrong: str) -> PayloadUndecodable:
    return PayloadUndecodable(f"a payload of {len(payload)} bytes for shape {shape} at level {level} {wrong}")


def remember(symbols: NDArray[np.int8], memory: Memory | None = None) -> Memory:
    """What is remembered after a frame's symbols ``(C, h, w)`` int8, given the memory that its P packet had.

    A K packet has none, and begins anew: what is remembered is its symbols. After a P packet, half of the way to each
    symbol is gone, away from where it was, so that what flickers by a sensor's noise settles between its values.

    Raises:
        FieldInvalid: the shapes differ.
    """
    if memory is None:
        return symbols.astype(np.int16) * np.int16(layout.MEMORY_UNIT)
    _check_memory(memory, symbols.shape)
    return kernel.remember(np.ascontiguousarray(symbols), np.ascontiguousarray(memory))


def symbol_digest(symbols: NDArray[np.int8]) -> int:
    """CRC-32 of the int8 bytes in C order."""
    return kernel.crc32(np.ascontiguousarray(symbols))


def _native(tables: CodingTables, level: int, memory: Memory | None) -> NativeLevel:
    tables.at(level)
    if memory is not None and not tables.predicted:
        raise FieldInvalid("these tables code K packets only; a memory was given")
    return tables.native[level]


def _checked_memory(memory: Memory | None, shape: tuple[int, ...]) -> Memory | None:
    if memory is None:
        return None
    _check_memory(memory, shape)
    return np.ascontiguousarray(memory)


def _check_memory(memory: Memory, shape: tuple[int, ...]) -> None:
    if memory.dtype != np.int16 or memory.shape != shape:
        raise FieldInvalid(f"a memory of {memory.dtype} {memory.shape}; int16 of {shape} is wanted")


def _check_plane(symbols: NDArray[np.int8], tables: CodingTables, shape: tuple[int, ...]) -> None:
    if symbols.dtype != np.int8 or symbols.shape != shape:
        raise FieldInvalid(f"a plane of {symbols.dtype} {symbols.shape}; int8 of {shape} is wanted")
    _check_shape(shape, tables)


def _check_shape(shape: tuple[int, ...], tables: CodingTables) -> None:
    if len(shape) != 3 or shape[0] != tables.channels or min(shape) < 1 or shape[2] > layout.MAX_WIDTH:
        raise FieldInvalid(f"a plane of shape {shape}; these tables code {tables.channels} channels, width 1 to 2048")
    if (symbols := math.prod(shape)) > layout.MAX_SYMBOLS:
        raise FieldInvalid(f"a plane of {symbols} symbols; at most {layout.MAX_SYMBOLS}")
