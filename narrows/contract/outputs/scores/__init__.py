"""Scores: numbers of the whole picture, float32 ``(n,)``: a class vector, a count, a quality."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.contract.errors import BundleError, InferenceFailed, RecordError
from narrows.contract.outputs.kind import OutputKind
from narrows.contract.outputs.output import Output, OutputValue

KIND = "scores"
RAW = "raw"
MOST_SCORES = 4096
"""Sixteen kilobytes: more than any list of classes, less than a picture's features."""
_LITTLE_ENDIAN = np.dtype("<f4")


class Scores(OutputKind):
    """A vector of finite numbers. Its packing ``raw`` is little-endian float32, one after the other."""

    name = KIND
    dtypes = ("float32",)
    packings = (RAW,)

    def check_shape(self, output: Output) -> None:
        """One dimension, and a name for each score or for none."""
        if len(output.shape) != 1 or output.shape[0] > MOST_SCORES:
            raise BundleError(f"output {output.name}: scores are (n,), n at most {MOST_SCORES}; not {output.shape}")
        if output.classes and len(output.classes) != output.shape[0]:
            raise BundleError(f"output {output.name}: {output.shape[0]} scores and {len(output.classes)} names")

    def check_values(self, output: Output, values: NDArray[Any]) -> None:
        """Every score is a finite number."""
        if not np.isfinite(values).all():
            raise InferenceFailed(f"Triton answered a score that is no finite number for output {output.name}")

    def pack(self, value: OutputValue) -> bytes:
        """Four bytes a score."""
        return value.values.astype(_LITTLE_ENDIAN).tobytes()

    def unpack(self, output: Output, data: bytes) -> OutputValue:
        """Read what :meth:`pack` wrote."""
        if len(data) != output.size_bytes():
            raise RecordError(f"output {output.name} of {output.shape[0]} scores has {len(data)} bytes")
        values = np.frombuffer(data, _LITTLE_ENDIAN).astype(np.float32)
        if not np.isfinite(values).all():
            raise RecordError(f"output {output.name} has a score that is no finite number")
        return OutputValue(output, values)
