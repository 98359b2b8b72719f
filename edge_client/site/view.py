"""The newest picture and what is outlined in it, encoded for whoever looks, and for nobody otherwise.

::

    frame loop ─ show ─► newest frame ─ encoded by a visitor's thread, four times a second at most ─► JPEG, PNG

The frame loop only leaves a reference, and none while nobody looks. A picture and its outlines are of one frame.
"""

from __future__ import annotations

import io
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from narrows.contract.outputs.objects import Objects
from narrows.runtime.prompting.outlines import paint_outlines

WATCHED_S = 5.0
"""After a visitor's last question frames are left here so long; a page asks twice a second."""
SHORTEST_S = 0.25
_LONGER_SIDE, _QUALITY = 960, 80
_KEPT = 4


@dataclass(frozen=True, slots=True)
class _Frame:
    number: int
    picture: NDArray[np.uint8]
    outlined: Objects | None
    capture_ms: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A frame for a browser.

    Attributes:
        number: grows with each frame.
        width, height: of the source.
        objects: prompts that have an outline in it.
        outlines: a PNG, transparent elsewhere; empty where nothing is outlined.
    """

    number: int
    width: int
    height: int
    capture_ms: int
    objects: tuple[int, ...]
    picture: bytes
    outlines: bytes


class SiteView:
    """What the site's page shows. The frame loop calls :meth:`show`, visitors' threads the rest."""

    def __init__(self, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._monotonic_s = monotonic_s
        self._asked_s = self._encoded_s = -math.inf
        self._number = 0
        self._newest: _Frame | None = None
        self._snapshots: OrderedDict[int, Snapshot] = OrderedDict()
        self._encoding = Lock()

    @property
    def watched(self) -> bool:
        """Whether somebody looked a moment ago."""
        return self._monotonic_s() - self._asked_s < WATCHED_S

    def show(self, picture: NDArray[np.uint8], outlined: Objects | None, capture_ms: int) -> None:
        """A frame ``(H, W, 3)`` uint8 RGB, which nobody changes from now on; forgotten while nobody looks."""
        if not self.watched:
            self._newest = None
            return
        self._number += 1
        self._newest = _Frame(self._number, picture, outlined, capture_ms)

    def newest(self) -> Snapshot | None:
        """The newest frame that is encoded; at most one thread encodes, the others take the one before."""
        self._asked_s = self._monotonic_s()
        frame = self._newest
        if frame is not None and self._encoding.acquire(blocking=False):
            try:
                self._encode(frame)
            finally:
                self._encoding.release()
        return next(reversed(self._snapshots.values()), None)

    def at(self, number: int) -> Snapshot | None:
        """The frame of that number; ``None`` if it is gone."""
        return self._snapshots.get(number)

    def _encode(self, frame: _Frame) -> None:
        now_s = self._monotonic_s()
        if frame.number in self._snapshots or now_s - self._encoded_s < SHORTEST_S:
            return
        self._encoded_s = now_s
        snapshots = OrderedDict(list(self._snapshots.items())[1 - _KEPT :])
        snapshots[frame.number] = _encoded(frame)
        self._snapshots = snapshots  # replaced whole: readers hold no lock


def _encoded(frame: _Frame) -> Snapshot:
    height, width = frame.picture.shape[:2]
    image = Image.fromarray(frame.picture)
    image.thumbnail((_LONGER_SIDE, _LONGER_SIDE), Image.Resampling.BILINEAR)
    data = io.BytesIO()
    image.save(data, "JPEG", quality=_QUALITY)
    masks = () if frame.outlined is None else frame.outlined.masks
    outlines = paint_outlines(frame.outlined) if frame.outlined is not None and masks else b""
    numbers = tuple(sorted(each.prompt for each in masks))
    return Snapshot(frame.number, width, height, frame.capture_ms, numbers, data.getvalue(), outlines)
