"""``planes-deflate``: finite floats, losslessly. Bytes of equal weight lie together, so that exponents are runs.

A zlib stream (RFC 1950) of the values' little-endian bytes: the first byte of every value, then the second of every
value, and so on.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.contract.errors import InferenceFailed, RecordError
from narrows.contract.outputs.kind import OutputKind
from narrows.contract.outputs.output import Output, OutputValue

PLANES_DEFLATE = "planes-deflate"
_LEVEL = 1


def pack_floats(values: NDArray[Any]) -> bytes:
    """Pack floats of any shape."""
    little = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
    planes = little.reshape(-1).view(np.uint8).reshape(-1, values.dtype.itemsize).T
    return zlib.compress(np.ascontiguousarray(planes).data, _LEVEL)


def unpack_floats(output: Output, data: bytes) -> NDArray[Any]:
    """Read what :func:`pack_floats` wrote; inflates at most what the output declares, and one byte.

    Raises:
        RecordError: the bytes are no values of this output, or one is no finite number.
    """
    size, dtype = output.size_bytes(), np.dtype(output.dtype)
    inflate = zlib.decompressobj()
    try:
        raw = inflate.decompress(data, size + 1)
    except zlib.error as error:
        raise RecordError(f"output {output.name}: its deflate stream is broken: {error}") from None
    if not inflate.eof or inflate.unused_data or len(raw) != size:
        raise RecordError(f"output {output.name}: {len(raw)} bytes unpacked; {size} are declared")
    planes = np.frombuffer(raw, np.uint8).reshape(dtype.itemsize, -1).T
    values = np.ascontiguousarray(planes).view(dtype.newbyteorder("<")).astype(dtype).reshape(output.shape)
    if not np.isfinite(values).all():
        raise RecordError(f"output {output.name} has a value that is no finite number")
    return values


def check_finite(output: Output, values: NDArray[Any]) -> None:
    """Whether every value is a finite number.

    Raises:
        InferenceFailed: one is not.
    """
    if not np.isfinite(values).all():
        raise InferenceFailed(f"Triton answered a value that is no finite number for output {output.name}")


class FloatPlanes(OutputKind):
    """An output of finite float32 numbers in this packing; what its shape may be is its own affair."""

    dtypes = ("float32",)
    packings = (PLANES_DEFLATE,)

    def check_values(self, output: Output, values: NDArray[Any]) -> None:
        """Every value is a finite number."""
        check_finite(output, values)

    def pack(self, value: OutputValue) -> bytes:
        """See :func:`pack_floats`."""
        return pack_floats(value.values)

    def unpack(self, output: Output, data: bytes) -> OutputValue:
        """See :func:`unpack_floats`."""
        return OutputValue(output, unpack_floats(output, data))
