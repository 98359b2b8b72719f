"""Heat maps: a number for each place of each channel, float32 ``(C, H, W)``: probabilities, logits, a grid."""

from __future__ import annotations

from narrows.contract.errors import BundleError
from narrows.contract.outputs.floats import FloatPlanes
from narrows.contract.outputs.labels.packing import MAX_PIXELS
from narrows.contract.outputs.output import Output

KIND = "heatmaps"
MOST_VALUES = MAX_PIXELS // 4
"""As many bytes as the largest label map."""


class Heatmaps(FloatPlanes):
    """Finite numbers on a grid. Its packing is that of :mod:`narrows.contract.outputs.floats`."""

    name = KIND

    def check_shape(self, output: Output) -> None:
        """Channels, a height and a width, and a name for each channel or for none."""
        if len(output.shape) != 3 or output.size_bytes() > 4 * MOST_VALUES:
            raise BundleError(
                f"output {output.name}: heat maps are (channels, height, width), values at most {MOST_VALUES}; "
                f"not {output.shape}"
            )
        if output.classes and len(output.classes) != output.shape[0]:
            raise BundleError(f"output {output.name}: {output.shape[0]} heat maps and {len(output.classes)} names")
