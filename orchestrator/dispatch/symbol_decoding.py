"""The symbols of several frames, decoded in one call of the kernel."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from narrows.contract.codec import CodedPlane, decode_planes
from narrows.contract.errors import FrameRefused

_MOST_SYMBOLS = 9 << 15
"""Of one call: eight planes of the demo's, and a millisecond in which the event loop does nothing else."""
Symbols = NDArray[np.int8]


class TimedPlane(NamedTuple):
    """A plane's symbols ``(C, h, w)`` int8, their digest, and how long they took: a share of their call."""

    symbols: Symbols
    digest: int
    took_s: float


def decode_together(planes: Sequence[CodedPlane]) -> list[TimedPlane | FrameRefused]:
    """Each plane's symbols, or why it is refused, in one call."""
    begun_s = time.monotonic()
    found = decode_planes(planes)
    took_s = (time.monotonic() - begun_s) / len(planes)
    return [each if isinstance(each, FrameRefused) else TimedPlane(*each, took_s) for each in found]


def decode_alone(plane: CodedPlane) -> TimedPlane:
    """One plane's symbols.

    Raises:
        FrameRefused: as :func:`narrows.contract.codec.decode_symbols`, by the same names.
    """
    (found,) = decode_together([plane])
    if isinstance(found, FrameRefused):
        raise found
    return found


def calls_of(planes: Sequence[CodedPlane]) -> Iterator[list[int]]:
    """The places of the planes of each call: alike beside alike, for the kernel decodes those two at a time."""
    call: list[int] = []
    symbols = 0
    for place in sorted(range(len(planes)), key=lambda place: _kind(planes[place])):
        size = planes[place].size
        if call and symbols + size > _MOST_SYMBOLS:
            yield call
            call, symbols = [], 0
        call.append(place)
        symbols += size
    if call:
        yield call


def _kind(plane: CodedPlane) -> tuple[int, int, bool]:
    """Equal for planes that the kernel decodes two at a time."""
    return id(plane.tables), plane.level, plane.memory is not None
