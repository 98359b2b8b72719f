"""``row-xor-deflate``: a raw deflate stream (RFC 1951) of the label bytes.

Each row but the first is replaced by its XOR with the row above: most of it zeros.
"""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

from narrows.contract.errors import RecordError

MAX_SIDE = 8192
MAX_PIXELS = 1 << 24
_DEFLATE_LEVEL = 1


def size_fits(height: int, width: int) -> bool:
    """Whether a label map may have this size."""
    return 0 < height <= MAX_SIDE and 0 < width <= MAX_SIDE and height * width <= MAX_PIXELS


def pack_labels(labels: NDArray[np.uint8]) -> bytes:
    """Pack a label map ``(H, W)`` uint8."""
    rows = labels.copy()
    np.bitwise_xor(labels[1:], labels[:-1], out=rows[1:])
    # what is left is runs: looking for nothing else is as fast, and a third smaller, than level 1's search
    squeeze = zlib.compressobj(_DEFLATE_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, zlib.Z_RLE)
    return squeeze.compress(rows.data) + squeeze.flush()


def unpack_labels(data: bytes, height: int, width: int) -> NDArray[np.uint8]:
    """Read what :func:`pack_labels` wrote; inflates at most ``height * width`` bytes and one.

    Raises:
        RecordError: the bytes are no label map of this size.
    """
    size = height * width
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        raw = inflate.decompress(data, size + 1)
    except zlib.error as error:
        raise RecordError(f"a mask's deflate stream is broken: {error}") from None
    if not inflate.eof or inflate.unused_data:
        raise RecordError("a mask's deflate stream does not end where its labels do")
    if len(raw) != size:
        raise RecordError(f"a mask of {height} x {width} unpacked to {len(raw)} bytes")
    return np.bitwise_xor.accumulate(np.frombuffer(raw, dtype=np.uint8).reshape(height, width), axis=0)
