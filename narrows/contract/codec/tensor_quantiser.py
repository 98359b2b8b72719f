"""What crosses at a cut as integers: affine quantisation of a tensor by channel.

::

    value ─► round(value / step) ─► clip to the range ─► − the channel's most frequent ─► symbol

Zero is always a value, and a channel's most frequent value is symbol 0, so that what is rectified is coded in few bits.
Where the range is open nothing is clipped: calibration has seen a few pictures, and others go beyond it.
The camera rounds, the cloud multiplies: no float decides what a payload means.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from narrows.contract.codec import layout
from narrows.contract.errors import FieldInvalid

Number = TypeVar("Number", np.float32, np.int32)
MOST_MAGNITUDE = (1 << 16) - 1
"""Of a symbol."""
Planes = NDArray[np.float32]
Symbols = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Quantiser:
    """One tensor's channels ``(C,)``: value = (symbol + shift) · step, symbols from ``least`` to ``most``.

    Attributes:
        open: channels whose symbols may lie beyond those, up to ``MOST_MAGNITUDE``: they are what calibration has seen.
            ``None``: no channel's may.
    """

    bits: int
    step: NDArray[np.float32]
    shift: NDArray[np.int32]
    least: NDArray[np.int32]
    most: NDArray[np.int32]
    open: NDArray[np.bool_] | None = None

    def planes(self, tensor: NDArray[Any]) -> Planes:
        """A tensor, with or without its batch of 1, in the planes that it is coded in."""
        return tensor.reshape(plane_shape(tensor.shape, len(self.step))).astype(np.float32)

    def symbols(self, planes: Planes) -> Symbols:
        """Symbols of ``(..., C, h, w)`` int32; not-a-number counts as zero."""
        scaled = np.nan_to_num(np.rint(planes / _by_channel(self.step)), copy=False)
        lowest, highest = self.bounds
        least, most = _by_channel(lowest + self.shift), _by_channel(highest + self.shift)
        symbols: Symbols = np.clip(scaled, least, most).astype(np.int32) - _by_channel(self.shift)
        return symbols

    @property
    def bounds(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """The least and the largest symbol of each channel."""
        if self.open is None:
            return self.least, self.most
        wide = np.int32(MOST_MAGNITUDE)
        return np.where(self.open, -wide, self.least), np.where(self.open, wide, self.most)

    def unsigned(self, symbols: Symbols) -> NDArray[np.uint32]:
        """From 0, as whoever sends a fixed number of bits has them: what lies beyond the range is clipped to it."""
        least, most = _by_channel(self.least), _by_channel(self.most)
        return (np.clip(symbols, least, most) - least).astype(np.uint32)

    def values(self, symbols: Symbols) -> Planes:
        """What the tail computes with, float32."""
        values: Planes = ((symbols + _by_channel(self.shift)) * _by_channel(self.step)).astype(np.float32)
        return values


def _by_channel(of_channel: NDArray[Number]) -> NDArray[Number]:
    return of_channel[:, None, None]


def as_dtype(values: Planes, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Values as the tail takes them: of a network in int8, to the nearest that there is."""
    if dtype.kind == "f":
        return values.astype(dtype)
    bounds = np.iinfo(dtype)
    return np.clip(np.rint(values), bounds.min, bounds.max).astype(dtype)


def fitting_shape(shape: Sequence[int]) -> tuple[int, int, int]:
    """Channels, height and width as which a new plan codes a tensor ``(1, ...)``, batch included.

    A map of one channel is one plane: were its rows channels, each would have a range of its own.

    Raises:
        FieldInvalid: it is beyond what the coder takes.
    """
    is_map = len(shape) == len("NCHW") and shape[1] == 1
    return plane_shape(shape, 1 if is_map else None)


def plane_shape(shape: Sequence[int], coded_channels: int | None = None) -> tuple[int, int, int]:
    """Channels, height and width as which a tensor is coded.

    A vector has a channel for each number; a longer one as many neighbours in each as divide it among the channels. Of
    two sides the first are channels, unless the plan has one: ``coded_channels``.

    Raises:
        FieldInvalid: it is beyond what the coder takes.
    """
    whole = tuple(each for each in shape if each > 1) or (1,)
    match whole:
        case (length,):
            width = next(
                (w for w in range(1, layout.MAX_WIDTH) if length <= layout.MAX_CHANNELS * w and not length % w), 1
            )
            channels, height = length // width, 1
        case (height, width) if coded_channels == 1:
            channels = 1
        case (channels, width):
            height = 1
        case _:
            channels, (height, width) = math.prod(whole[:-2]), whole[-2:]
    if channels > layout.MAX_CHANNELS or width > layout.MAX_WIDTH or math.prod(whole) > layout.MAX_SYMBOLS:
        raise FieldInvalid(
            f"a tensor of shape {'x'.join(map(str, shape))}: at most {layout.MAX_CHANNELS} channels, width "
            f"{layout.MAX_WIDTH} and {layout.MAX_SYMBOLS} numbers are coded"
        )
    return channels, height, width


def tensor_digest(symbols: Symbols) -> int:
    """CRC-32 of a tensor's symbols ``(C, h, w)`` as little-endian int32 in C order."""
    return zlib.crc32(np.ascontiguousarray(symbols, dtype="<i4").data)
