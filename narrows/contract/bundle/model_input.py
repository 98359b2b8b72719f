"""A tensor that a model in Triton takes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ModelInput:
    """Under Triton's name of it: NumPy's dtype, and the shape of one frame's values."""

    name: str
    dtype: str
    shape: tuple[int, ...]
