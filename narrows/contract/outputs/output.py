"""One output as a bundle declares it, and its value for one frame."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray

DTYPES = ("uint8", "int8", "uint16", "int32", "float16", "float32")
"""NumPy's names of what Triton can answer with and we have a use for."""
_Side = Annotated[int, Meta(ge=1, le=1 << 16)]
_Name = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,63}$")]


class Output(Struct, frozen=True, forbid_unknown_fields=True):
    """What a decoder answers with for each frame, under Triton's name of that output.

    Attributes:
        name: of the output in the ONNX graph and in Triton; lower case, digits and underscores.
        kind: what it is, one of :data:`narrows.contract.outputs.KINDS`.
        dtype: of its values, one of :data:`DTYPES`.
        shape: of one frame's values, without the batch.
        packing: how its values become bytes; the kind says which there are.
        classes: what its values mean: the names of the labels, or of the scores.
    """

    name: _Name
    kind: str
    dtype: str
    shape: tuple[_Side, ...]
    packing: str
    classes: tuple[str, ...] = ()

    def size_bytes(self, n: int = 1) -> int:
        """The size of the values of ``n`` frames in a slot's memory."""
        return n * math.prod(self.shape) * np.dtype(self.dtype).itemsize


@dataclass(frozen=True, slots=True)
class OutputValue:
    """An output of one frame: what was declared, and the values in its shape and dtype."""

    output: Output
    values: NDArray[Any]
