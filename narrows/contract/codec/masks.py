"""A label map packed as a mask carries it, and its areas: the kernel's ``masks.c``. Calls release the GIL."""

from __future__ import annotations

import threading
from ctypes import c_int64, c_uint32, c_uint64, c_void_p, string_at
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.contract.codec import kernel

_NO_CLASS = -9
_ROOM_BYTES = 512
"""More than the head of a deflate block has; a token has 15 bits at the most, and there is one a pixel at the most."""


class LabelBeyondClasses(ValueError):
    """A label map has a label that is none of its classes."""


class _Scratch(threading.local):
    """What the kernel works in, kept by each thread: made anew for each mask, its pages would be faulted in anew."""

    def __init__(self) -> None:
        self._pixels = 0

    def of(self, pixels: int) -> tuple[int, int, int]:
        """Where tokens go, where the packed bytes go, and how many of these fit."""
        if pixels > self._pixels:
            self._tokens = np.empty(pixels + 1, np.uint16)
            self._out = np.empty(2 * pixels + _ROOM_BYTES, np.uint8)
            self._places = self._tokens.ctypes.data, self._out.ctypes.data, self._out.size
            self._pixels = pixels
        return self._places


_scratch = _Scratch()


@cache
def _pack() -> Any:  # noqa: ANN401 - a ctypes function
    function = kernel.load().narrows_mask_pack
    function.argtypes = [c_void_p, *[c_uint32] * 3, *[c_void_p] * 3, c_uint64]
    function.restype = c_int64
    return function


def pack_and_count(labels: NDArray[np.uint8], classes: int) -> tuple[bytes, NDArray[np.uint32]]:
    """Pack a C-contiguous label map ``(H, W)`` uint8 as ``row-xor-deflate``, and count it.

    ``unpack_labels`` in ``narrows/contract/outputs/labels/packing.py`` reads it, as what ``pack_labels`` there writes.

    Returns:
        The packed bytes, and the pixels of each class ``(classes,)`` uint32.

    Raises:
        LabelBeyondClasses: a label is not below ``classes``.
    """
    height, width = labels.shape
    if labels.dtype != np.uint8 or not labels.flags.c_contiguous or not 1 <= classes <= 256 or not labels.size:
        raise ValueError(f"a label map of {labels.dtype} {labels.shape} and {classes} classes cannot be packed")
    areas = np.empty(classes, np.uint32)
    tokens, out, room = _scratch.of(labels.size)
    size = _pack()(kernel.address_of(labels), height, width, classes, kernel.address_of(areas), tokens, out, room)
    if size == _NO_CLASS:
        raise LabelBeyondClasses(f"a label map has a label beyond its {classes} classes")
    return string_at(out, size), areas
