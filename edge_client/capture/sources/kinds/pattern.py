"""Moving test pictures, for trying a stream before there is a camera: ``pattern:`` or ``pattern:WIDTHxHEIGHT``."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from threading import Event

import numpy as np

from edge_client.capture.sources.base import Picture, Pictures
from edge_client.capture.sources.kind import LiveKind
from narrows.contract.errors import SourceError

_PREFIX = "pattern:"
_SIZE = re.compile(r"([0-9]{2,4})x([0-9]{2,4})")
_DEFAULT = (640, 480)
_STEP, _SQUARES = 4, 8
"""Pixels that the pattern moves from one picture to the next, and squares of the board to the picture's height."""


class PatternFeed:
    """A coloured chequerboard that moves to the left: every picture differs from the one before."""

    def __init__(self, address: str, frames_per_s: float) -> None:
        self.address = address
        self._size = _size_of(address.removeprefix(_PREFIX))
        self._period_s = 1.0 / frames_per_s

    def pictures(self, ended: Event, damaged: Callable[[str], None]) -> Pictures:  # noqa: ARG002 -- none is
        """A picture for each period, without end."""
        shift = 0
        while not ended.wait(self._period_s):
            yield partial(draw, *self._size, shift)
            shift += _STEP


def draw(width: int, height: int, shift: int) -> Picture:
    """The pattern, ``shift`` pixels further: ``(height, width, 3)`` uint8."""
    side = max(1, height // _SQUARES)
    x, y = np.arange(width) + shift, np.arange(height)[:, np.newaxis]
    colour = (x // side + 3 * (y // side)) % 8  # three bits, one for each of red, green and blue
    shade = np.uint8(96) + (x % 128).astype(np.uint8)
    return np.where(colour[..., np.newaxis] >> np.arange(3) & 1, shade[:, np.newaxis], 0).astype(np.uint8)


def _size_of(text: str) -> tuple[int, int]:
    found = _SIZE.fullmatch(text)
    if found is None and text:
        raise SourceError(f"--source {_PREFIX}{text[:80]}: give {_PREFIX} or a size of 10 to 9999, as {_PREFIX}640x480")
    return _DEFAULT if found is None else (int(found[1]), int(found[2]))


KIND = LiveKind(
    matches=lambda text: text.startswith(_PREFIX),
    feed=PatternFeed,
    example="pattern: for test pictures",
    documented="`pattern:`, `pattern:640x480`",
    taken="moving test pictures at `--fps`, for a trial without a camera",
)
