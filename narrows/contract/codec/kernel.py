"""The compiled kernel, loaded with ctypes. Calls release the GIL."""

from __future__ import annotations

import ctypes
import zlib
from collections.abc import Mapping, Sequence
from ctypes import (
    POINTER,
    addressof,
    byref,
    c_char,
    c_char_p,
    c_int32,
    c_int64,
    c_uint8,
    c_uint16,
    c_uint32,
    c_uint64,
    c_void_p,
)
from functools import cache
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from narrows.contract.codec.artifact import object_path
from narrows.contract.errors import KernelMissing

_ABI = 4
_STEPS_A_SYMBOL = 16
_BYTES_A_SYMBOL = 4
_ENDING = {
    -1: "ran out of bytes",
    -2: "left bytes over",
    -3: "began or ended in the wrong state",
    -4: "met an escape beyond 127",
}


CONTEXT_ARRAYS = (
    "magnitude_weights",
    "sign_weights",
    "parents_begin",
    "parents",
    "parent_weights",
    "magnitude_bin",
    "sign_class",
    "choices",
)
"""What the kernel reads of the contexts of K or of P; shapes and types as in ``kernel.c``."""


class _Table(ctypes.Structure):
    _fields_: ClassVar = [("count", c_uint32), ("offset", c_uint32), ("ends", c_uint32 * 4), ("first", c_uint8 * 256)]


class _Step(ctypes.Structure):
    _fields_: ClassVar = [
        ("reciprocal", c_uint64),
        ("frequency", c_uint32),
        ("start", c_uint16),
        ("shift", c_uint16),
    ]


class _Contexts(ctypes.Structure):
    _fields_: ClassVar = [
        ("bins", c_uint32),
        ("weights", c_uint32),
        *((name, c_void_p) for name in CONTEXT_ARRAYS),
    ]


class _Level(ctypes.Structure):
    _fields_: ClassVar = [
        ("channels", c_uint32),
        ("live", c_uint32),
        ("channel", c_void_p),
        ("key", _Contexts),
        ("predicted", _Contexts),
        ("tables", c_void_p),
        ("starts", c_void_p),
        ("steps", c_void_p),
    ]


class _Plane(ctypes.Structure):
    _fields_: ClassVar = [
        ("payload", c_char_p),
        ("size", c_uint64),
        ("memory", c_void_p),
        ("symbols", c_void_p),
        ("level", c_void_p),
        ("height", c_uint32),
        ("width", c_uint32),
        ("error", c_int32),
        ("digest", c_uint32),
    ]


LaidOut = tuple[bytes, int, int | None, int, int, int, int, int, int]
"""The fields of a plane as the kernel takes them."""


def load() -> ctypes.CDLL:
    """Load the object that was built from the present source.

    Raises:
        KernelMissing: there is none, or it is of another version.
    """
    path = object_path()
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        raise KernelMissing(
            f"the symbol coder is not compiled ({error}): run `make setup`, or `python -m narrows.contract.codec.build`"
        ) from None
    library.narrows_abi.restype = c_uint32
    if library.narrows_abi() != _ABI:
        raise KernelMissing(
            f"{path} does not fit this version of Narrows: run `python -m narrows.contract.codec.build`"
        )
    level = POINTER(_Level)
    library.narrows_expand.argtypes = [c_uint32, *[c_void_p] * 5]
    library.narrows_expand.restype = c_int32
    library.narrows_scratch_words.argtypes = [c_uint32] * 3
    library.narrows_scratch_words.restype = c_uint64
    library.narrows_contexts.argtypes = [level, *[c_void_p] * 2, *[c_uint32] * 2, *[c_void_p] * 2]
    library.narrows_contexts.restype = c_int32
    library.narrows_remember.argtypes = [c_void_p, c_void_p, c_uint64, c_void_p]
    library.narrows_remember.restype = None
    library.narrows_encode.argtypes = [level, *[c_void_p] * 2, *[c_uint32] * 2, *[c_void_p] * 3, c_uint64]
    library.narrows_encode.restype = c_int64
    library.narrows_decode.argtypes = [level, c_void_p, c_uint64, c_void_p, *[c_uint32] * 2, *[c_void_p] * 2]
    library.narrows_decode.restype = c_int32
    library.narrows_decode_planes.argtypes = [c_void_p, c_uint32, c_void_p, c_uint64, c_int32]
    library.narrows_decode_planes.restype = None
    library.narrows_crc32.argtypes = [c_void_p, c_uint64, c_int32]
    library.narrows_crc32.restype = c_uint32
    library.narrows_crc32_fast.restype = c_int32
    return library


_library = cache(load)


def remember(symbols: NDArray[np.int8], memory: NDArray[np.int16]) -> NDArray[np.int16]:
    """The memory after a contiguous plane, given the one before it, of the same shape."""
    after = np.empty(symbols.shape, dtype=np.int16)
    _library().narrows_remember(symbols.ctypes.data, memory.ctypes.data, symbols.size, after.ctypes.data)
    return after


@cache
def _crc32_is_fast() -> bool:
    return bool(_library().narrows_crc32_fast())


def crc32(array: NDArray[np.int8]) -> int:
    """The CRC-32 of a contiguous array's bytes: 16 at a time where the processor can, else by zlib."""
    if not _crc32_is_fast():
        return zlib.crc32(array.data)
    return int(_library().narrows_crc32(array.ctypes.data, array.nbytes, 1))


class NativeLevel:
    """One level's tables in the kernel's layout. Immutable, so any number of threads may code with it."""

    def __init__(
        self,
        channels: int,
        channel: NDArray[np.uint16],
        frequencies: tuple[NDArray[np.uint16], ...],
        key: Mapping[str, NDArray[np.generic]],
        predicted: Mapping[str, NDArray[np.generic]] | None,
    ) -> None:
        """Lay out; ``key`` and ``predicted`` hold the arrays named in ``CONTEXT_ARRAYS``."""
        self.live = len(channel)
        self._scratch_words: dict[tuple[int, int], int] = {}
        self._kept: dict[str, NDArray[np.generic]] = {"channel": np.ascontiguousarray(channel)}
        self._expand(frequencies)
        pointers = {name: array.ctypes.data for name, array in self._kept.items()}
        self._contexts = [self._lay_out(arrays) for arrays in (key, predicted or {})]
        self._level = _Level(
            channels=channels, live=self.live, key=self._contexts[0][0], predicted=self._contexts[1][0], **pointers
        )

    @staticmethod
    def _lay_out(given: Mapping[str, NDArray[np.generic]]) -> tuple[_Contexts, dict[str, NDArray[np.generic]]]:
        """The kernel's view of contexts, and the arrays that it points into."""
        arrays = {name: np.ascontiguousarray(array) for name, array in given.items()}
        if not arrays:
            return _Contexts(), arrays
        pointers = {name: array.ctypes.data for name, array in arrays.items()}
        bins, weights = arrays["choices"].shape[1], arrays["magnitude_weights"].shape[1]
        return _Contexts(bins=bins, weights=weights, **pointers), arrays

    def _expand(self, frequencies: tuple[NDArray[np.uint16], ...]) -> None:
        counts = np.array([len(table) for table in frequencies], dtype=np.uint16)
        joined = np.concatenate(frequencies).astype(np.uint16)
        tables = np.zeros(len(counts) * ctypes.sizeof(_Table), dtype=np.uint8)
        starts = np.zeros(len(joined) + len(counts), dtype=np.uint16)
        steps = np.zeros((len(joined) + 2) * ctypes.sizeof(_Step), dtype=np.uint8)
        arrays = (counts, joined, tables, starts, steps)
        if _library().narrows_expand(len(counts), *(array.ctypes.data for array in arrays)) != 0:
            raise ValueError("frequencies of a table do not sum to 65536 with each at least 1")
        self._kept |= {"tables": tables, "starts": starts, "steps": steps}

    def contexts(self, symbols: NDArray[np.int8], memory: NDArray[np.int16] | None = None) -> NDArray[np.uint8]:
        """The context ``(n, h, w)`` uint8 of each coded symbol of a contiguous plane ``(C, h, w)``."""
        out = np.empty((self.live, *symbols.shape[1:]), dtype=np.uint8)
        remembered = None if memory is None else memory.ctypes.data
        scratch = _scratch(self.scratch_words(*symbols.shape[1:]))
        _library().narrows_contexts(
            byref(self._level),
            symbols.ctypes.data,
            remembered,
            *symbols.shape[1:],
            scratch.ctypes.data,
            out.ctypes.data,
        )
        return out

    def scratch_words(self, height: int, width: int) -> int:
        """How many words the kernel works in for a plane of this size."""
        words = self._scratch_words.get((height, width))
        if words is None:
            words = int(_library().narrows_scratch_words(self.live, height, width))
            self._scratch_words = {(height, width): words}
        return words

    def encode(self, symbols: NDArray[np.int8], memory: NDArray[np.int16] | None) -> bytes:
        """Code a checked, contiguous plane ``(C, h, w)``."""
        height, width = symbols.shape[1:]
        scratch = _scratch(self.scratch_words(height, width))
        planned = np.empty(height * width * _STEPS_A_SYMBOL, dtype=np.uint16)
        out = np.empty(self.live * height * width * _BYTES_A_SYMBOL + 8, dtype=np.uint8)
        size = _library().narrows_encode(
            byref(self._level),
            symbols.ctypes.data,
            None if memory is None else memory.ctypes.data,
            height,
            width,
            scratch.ctypes.data,
            planned.ctypes.data,
            out.ctypes.data,
            out.size,
        )
        if size < 0:
            raise RuntimeError(f"the kernel refused to encode a plane of shape {symbols.shape}: {size}")
        return out[out.size - size :].tobytes()

    def decode(self, payload: bytes, memory: NDArray[np.int16] | None, symbols: NDArray[np.int8]) -> str | None:
        """Decode into a zeroed plane ``(C, h, w)``; what was wrong with the payload, or ``None``."""
        height, width = symbols.shape[1:]
        scratch = _scratch(self.scratch_words(height, width))
        error = _library().narrows_decode(
            byref(self._level),
            payload,
            len(payload),
            None if memory is None else memory.ctypes.data,
            height,
            width,
            scratch.ctypes.data,
            symbols.ctypes.data,
        )
        return _ending(error)

    def plane(self, payload: bytes, memory: NDArray[np.int16] | None, symbols: NDArray[np.int8]) -> LaidOut:
        """The same for :func:`decode_planes`, which all that is given here must outlive."""
        height, width = symbols.shape[1:]
        at = None if memory is None else address_of(memory)
        return payload, len(payload), at, address_of(symbols), addressof(self._level), height, width, 0, 0


def decode_planes(planes: Sequence[LaidOut], scratch_words: int) -> list[tuple[str | None, int | None]]:
    """Decode what :meth:`NativeLevel.plane` gave, in one call; what was wrong with each payload, and a digest.

    The digest is that of the symbols, where the processor is fast at it: else there is none.

    Args:
        planes: those that are alike (level, size, K or P) are decoded two at a time where they follow one another.
        scratch_words: as many as the largest of them takes.
    """
    laid_out = (_Plane * len(planes))(*planes)  # type: ignore[misc]  # ctypes makes a structure of each tuple
    scratch = _scratch(2 * scratch_words)
    fast = _crc32_is_fast()
    _library().narrows_decode_planes(addressof(laid_out), len(planes), address_of(scratch), scratch_words, fast)
    return [(_ending(plane.error), plane.digest if fast else None) for plane in laid_out]


_Nothing = c_char * 0
"""A view of no bytes: of any array, also one that has none."""


def address_of(array: NDArray[np.generic]) -> int:
    """Where an array's values lie: ``array.ctypes.data`` in a quarter of the time, where it may be written."""
    if not array.flags.writeable:
        return array.ctypes.data
    return addressof(_Nothing.from_buffer(array))  # type: ignore[arg-type]  # NumPy's arrays are buffers; 3.11 has no name for it


def _scratch(words: int) -> NDArray[np.uint32]:
    """What the kernel works in; it clears it."""
    return np.empty(words, dtype=np.uint32)


def _ending(error: int) -> str | None:
    return None if error == 0 else _ENDING.get(error, f"failed with {error}")
