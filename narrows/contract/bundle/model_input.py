"""A tensor that a model in Triton takes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class ModelInput:
    """Under Triton's name of it: NumPy's dtype, and the shape of one frame's values."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    def size_bytes(self, n: int = 1) -> int:
        """Of the values of ``n`` frames."""
        return n * math.prod(self.shape) * np.dtype(self.dtype).itemsize
