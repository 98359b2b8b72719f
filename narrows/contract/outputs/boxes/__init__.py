"""Boxes: a row for each thing that was looked for, float32 ``(n, columns)``: where it lies, and how sure it is.

The number of rows is the network's, whatever the picture shows; what the columns mean is the network's affair, and
``classes`` may name them.
"""

from __future__ import annotations

from narrows.contract.errors import BundleError
from narrows.contract.outputs.floats import FloatPlanes
from narrows.contract.outputs.output import Output

KIND = "boxes"
LEAST_COLUMNS = 4
MOST_VALUES = 1 << 20
"""Twice the 8,400 rows of 84 columns of a usual detector with 80 classes."""


class Boxes(FloatPlanes):
    """Rows of finite numbers, four at least. Its packing is that of :mod:`narrows.contract.outputs.floats`."""

    name = KIND

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
