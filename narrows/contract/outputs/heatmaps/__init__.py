"""Heat maps: a number for each place of each channel, float32 ``(C, H, W)``: probabilities, logits, a grid."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from narrows.contract.errors import BundleError
from narrows.contract.outputs.floats import PLANES_DEFLATE, check_finite, pack_floats, unpack_floats
from narrows.contract.outputs.kind import OutputKind
from narrows.contract.outputs.labels.packing import MAX_PIXELS
from narrows.contract.outputs.output import Output, OutputValue

KIND = "heatmaps"
MOST_VALUES = MAX_PIXELS // 4
"""As many bytes as the largest label map."""


class Heatmaps(OutputKind):
    """Finite numbers on a grid. Its packing is that of :mod:`narrows.contract.outputs.floats`."""

    name = KIND
    dtypes = ("float32",)
    packings = (PLANES_DEFLATE,)

    def check_shape(self, output: Output) -> None:
        """Channels, a height and a width, and a name for each channel or for none."""
        if len(output.shape) != 3 or output.size_bytes() > 4 * MOST_VALUES:
            raise BundleError(
                f"output {output.name}: heat maps are (channels, height, width), values at most {MOST_VALUES}; "
                f"not {output.shape}"
            )
        if output.classes and len(output.classes) != output.shape[0]:
            raise BundleError(f"output {output.name}: {output.shape[0]} heat maps and {len(output.classes)} names")

    def check_values(self, output: Output, values: NDArray[Any]) -> None:
        """Every value is a finite number."""
        check_finite(output, values)

    def pack(self, value: OutputValue) -> bytes:
        """See :func:`pack_floats`."""
        return pack_floats(value.values)

    def unpack(self, output: Output, data: bytes) -> OutputValue:
        """See :func:`unpack_floats`."""
        return OutputValue(output, unpack_floats(output, data))
