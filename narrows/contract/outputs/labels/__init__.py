"""Labels: a class for each pixel, uint8 ``(H, W)``, below the number of classes."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from narrows.contract.errors import BundleError, InferenceFailed, RecordError
from narrows.contract.outputs.kind import OutputKind
from narrows.contract.outputs.labels.packing import MAX_PIXELS, MAX_SIDE, pack_labels, size_fits, unpack_labels
from narrows.contract.outputs.output import Output, OutputValue

KIND = "labels"
ROW_XOR_DEFLATE = "row-xor-deflate"


class Labels(OutputKind):
    """A label map. Its one packing is that of MaskPacket v1."""

    name = KIND
    dtypes = ("uint8",)
    packings = (ROW_XOR_DEFLATE,)

    def check_shape(self, output: Output) -> None:
        """A height and a width that a packet can carry, and 1 to 255 classes."""
        if len(output.shape) != 2 or not size_fits(*output.shape):
            raise BundleError(
                f"output {output.name}: labels are (height, width), sides at most {MAX_SIDE}, pixels at most "
                f"{MAX_PIXELS}; not {output.shape}"
            )
        if not 1 <= len(output.classes) <= 255:
            raise BundleError(f"output {output.name}: labels have 1 to 255 classes, not {len(output.classes)}")

    def check_values(self, output: Output, values: NDArray[Any]) -> None:
        """Every label is below the number of classes."""
        largest = int(values.max(initial=0))
        if largest >= len(output.classes):
            raise InferenceFailed(
                f"Triton answered label {largest} for output {output.name} of {len(output.classes)} classes"
            )

    def pack(self, value: OutputValue) -> bytes:
        """See :func:`pack_labels`."""
        return pack_labels(value.values)

    def unpack(self, output: Output, data: bytes) -> OutputValue:
        """See :func:`unpack_labels`."""
        height, width = output.shape
        labels = unpack_labels(data, height, width)
        if int(labels.max()) >= len(output.classes):
            raise RecordError(f"output {output.name} has label {labels.max()} of {len(output.classes)} classes")
        return OutputValue(output, labels)


def labels_output(height: int, width: int, classes: tuple[str, ...]) -> Output:
    """The output of a bundle that declares none: one label map."""
    return Output(KIND, KIND, "uint8", (height, width), ROW_XOR_DEFLATE, classes)
