"""The gains of an exported decoder: what a camera multiplies with is the inverse of what the decoder holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper


def read_gains(decoder: Path) -> NDArray[np.float32]:
    """``(levels, C)`` float32 from a decoder graph.

    Raises:
        ValueError: it holds no inverse gains.
    """
    for constant in onnx.load(decoder).graph.initializer:
        if constant.name.endswith("inverse_gain"):
            return (1 / numpy_helper.to_array(constant)).astype(np.float32)
    raise ValueError(f"{decoder} holds no inverse_gain: it was not exported by narrows.models.export")
