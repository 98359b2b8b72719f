"""Smaller masks: a label map that a camera made may have the output's size divided by 1, 2, 4 or 8, rounded up."""

from __future__ import annotations

from narrows.contract.errors import ShapeMismatch

MASK_SCALES = (1, 2, 4, 8)
"""At 8, a 480x360 output is 60x45: beyond it, thin things are gone."""


def scaled_shape(shape: tuple[int, ...], scale: int) -> tuple[int, int]:
    """The (height, width) of a label map of an output of ``shape`` (height, width) at one of ``MASK_SCALES``.

    Example:
        >>> scaled_shape((360, 480), 8)
        (45, 60)
    """
    height, width = shape
    return -(-height // scale), -(-width // scale)


def scale_of(shape: tuple[int, ...], size: tuple[int, int]) -> int:
    """Which of ``MASK_SCALES`` a label map of ``size`` (height, width) has; the first, where several give one size.

    Raises:
        ShapeMismatch: none of them gives that size.
    """
    for scale in MASK_SCALES:
        if scaled_shape(shape, scale) == size:
            return scale
    sizes = ", ".join(f"{width}x{height}" for height, width in (scaled_shape(shape, each) for each in MASK_SCALES))
    raise ShapeMismatch(f"a label map of {size[1]}x{size[0]}; the output's is one of {sizes}")
