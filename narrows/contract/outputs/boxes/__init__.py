"""Boxes: a row for each thing that was looked for, float32 ``(n, columns)``: where it lies, and how sure it is.

The number of rows is the network's, whatever the picture shows; what the columns mean is the network's affair, and
``classes`` may name them.
"""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from narrows.contract.errors import BundleError
from narrows.contract.outputs.floats import PLANES_DEFLATE, check_finite, pack_floats, unpack_floats
from narrows.contract.outputs.kind import OutputKind
from narrows.contract.outputs.output import Output, OutputValue

KIND = "boxes"
LEAST_COLUMNS = 4
MOST_VALUES = 1 << 20
"""Twice the 8,400 rows of 84 columns of a usual detector with 80 classes."""


class Boxes(OutputKind):
    """Rows of finite numbers, four at least. Its packing is that of :mod:`narrows.contract.outputs.floats`."""

    name = KIND
    dtypes = ("float32",)
    packings = (PLANES_DEFLATE,)

    def check_shape(self, output: Output) -> None:
        """Rows and columns, and a name for each column or for none."""
        two = len(output.shape) == 2 and output.shape[1] >= LEAST_COLUMNS
        if not two or output.size_bytes() > 4 * MOST_VALUES:
            raise BundleError(
                f"output {output.name}: boxes are (n, columns), {LEAST_COLUMNS} columns or more, values at most "
                f"{MOST_VALUES}; not {output.shape}"
            )
        if output.classes and len(output.classes) != output.shape[1]:
            raise BundleError(f"output {output.name}: {output.shape[1]} columns and {len(output.classes)} names")

    def check_values(self, output: Output, values: NDArray[Any]) -> None:
        """Every value is a finite number."""
        check_finite(output, values)

    def pack(self, value: OutputValue) -> bytes:
        """See :func:`pack_floats`."""
        return pack_floats(value.values)

    def unpack(self, output: Output, data: bytes) -> OutputValue:
        """See :func:`unpack_floats`."""
        return OutputValue(output, unpack_floats(output, data))
