"""The label map's half of the compiled kernel (``labels.c``), called with ctypes. Calls release the GIL."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from ctypes import POINTER, c_int32, c_int64, c_uint32, c_uint64, c_void_p
from functools import cache
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from narrows.contract.codec import kernel
from narrows.contract.codec.label_layout import CONTEXTS, TOTAL

UNIFORM = 0x80000000
"""Marks a step of equal chances, which has no table."""
_STEPS_A_PIXEL = 7
_STEPS_AT_LEAST = 4096
_NO_ROOM = -6
_ENDING = {
    -1: "ran out of bytes",
    -2: "left bytes over",
    -3: "began or ended in the wrong state",
    -5: "names a set that these tables lack",
    -7: "met a rank that no neighbour's label has",
    -8: "met a label beyond the map's",
}

Labels = NDArray[np.uint8]


class _Set(ctypes.Structure):
    _fields_: ClassVar = [("lookup", c_void_p), ("starts", c_void_p), ("steps", c_void_p), ("prices", c_void_p)]


class _Step(ctypes.Structure):
    _fields_: ClassVar = [("reciprocal", c_uint64), ("frequency", c_uint32), ("start_and_shift", c_uint32)]


@cache
def _library() -> ctypes.CDLL:
    library = kernel.load()
    sets = POINTER(_Set)
    library.narrows_labels_expand.argtypes = [c_uint32, *[c_void_p] * 3]
    library.narrows_labels_expand.restype = c_int32
    library.narrows_labels_steps.argtypes = [c_void_p, *[c_uint32] * 3, c_void_p, c_uint64]
    library.narrows_labels_steps.restype = c_int64
    library.narrows_labels_encode.argtypes = [
        sets, c_uint32, c_void_p, *[c_uint32] * 3, c_void_p, c_uint64, c_void_p, c_uint64,
    ]  # fmt: skip
    library.narrows_labels_encode.restype = c_int64
    library.narrows_labels_decode.argtypes = [sets, c_uint32, c_void_p, c_uint64, *[c_uint32] * 3, c_void_p]
    library.narrows_labels_decode.restype = c_int32
    return library


def steps(labels: Labels, many: int) -> NDArray[np.uint32]:
    """The steps that code a checked, contiguous map ``(H, W)`` of labels below ``many``: context * ENTRIES + entry."""
    room = labels.size * _STEPS_A_PIXEL + 16
    found = np.empty(room, dtype=np.uint32)
    count = _library().narrows_labels_steps(labels.ctypes.data, *labels.shape, many, found.ctypes.data, room)
    return found[:count].copy()


class NativeSets:
    """Sets of tables in the kernel's layout. Immutable, so any number of threads may code with it."""

    def __init__(self, sets: Sequence[tuple[NDArray[np.uint16], NDArray[np.uint16]]]) -> None:
        """Lay out each set: the table of every context ``(CONTEXTS,)``, the frequencies ``(tables, ENTRIES)``."""
        self._kept = [self._expand(lookup, frequencies) for lookup, frequencies in sets]
        self._sets = (_Set * len(sets))(*(_Set(*(array.ctypes.data for array in arrays)) for arrays in self._kept))

    @staticmethod
    def _expand(lookup: NDArray[np.uint16], frequencies: NDArray[np.uint16]) -> tuple[NDArray[np.generic], ...]:
        if lookup.shape != (CONTEXTS,) or int(lookup.max()) >= len(frequencies):
            raise ValueError("a look-up of label tables names a table that is not there")
        lookup, frequencies = np.ascontiguousarray(lookup), np.ascontiguousarray(frequencies)
        starts = np.empty(frequencies.shape, dtype=np.uint32)
        expanded = np.empty(frequencies.size * ctypes.sizeof(_Step), dtype=np.uint8)
        arrays = (frequencies, starts, expanded)
        if _library().narrows_labels_expand(len(frequencies), *(array.ctypes.data for array in arrays)) != 0:
            raise ValueError("frequencies of a label table do not sum to 65536 with the first two at least 1")
        # they choose between sets in the encoder and nothing else: a decoder needs no float
        prices = np.rint(-256 * np.log2(np.maximum(frequencies, 1) / TOTAL)).astype(np.uint16)
        return lookup, starts, expanded, prices

    def encode(self, labels: Labels, many: int) -> bytes:
        """Code a checked, contiguous map ``(H, W)`` of labels below ``many`` with the set that makes it smallest."""
        room = labels.size // 2 + _STEPS_AT_LEAST
        while True:
            scratch = np.empty(room, dtype=np.uint32)
            out = np.empty(2 * room + 8, dtype=np.uint8)
            size = _library().narrows_labels_encode(
                self._sets, len(self._sets), labels.ctypes.data, *labels.shape, many,
                scratch.ctypes.data, room, out.ctypes.data, out.size,
            )  # fmt: skip
            most = labels.size * _STEPS_A_PIXEL + 16
            if size != _NO_ROOM or room >= most:
                break
            room = most
        if size < 0:
            raise RuntimeError(f"the kernel refused to encode a label map of shape {labels.shape}: {size}")
        return out[out.size - size :].tobytes()

    def decode(self, payload: bytes, labels: Labels, many: int) -> str | None:
        """Decode into a map ``(H, W)``; what was wrong with the payload, or ``None``."""
        error = _library().narrows_labels_decode(
            self._sets, len(self._sets), payload, len(payload), *labels.shape, many, labels.ctypes.data
        )
        return None if error == 0 else _ENDING.get(error, f"failed with {error}")
