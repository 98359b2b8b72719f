"""Whether a camera's pictures are worth coding: away, frozen, black, or of another size than before.

A scene in which nothing moves is not frozen: a sensor's noise changes some pixel within a second, and an encoder that
repeats macroblocks renews them with its next key frame. So frozen means that whole pictures are equal, byte for byte,
for longer than cameras go without a key frame.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

import numpy as np
import structlog
from numpy.typing import NDArray

_LOG = structlog.get_logger("edge.camera")
AWAY_S, FROZEN_S, BLACK_S = 5.0, 30.0, 5.0
_FROZEN_FRAMES = 10
_DARK_LEVEL, _DARK_SHARE_PERCENT = 32, 98.0
_REMEDY = {
    "away": "no picture comes: is the camera on, and --source right?",
    "frozen": "every pixel stands still: restart the camera",
    "black": "is the lens covered, or the night dark?",
}


class CameraState(StrEnum):
    """What the pictures say of the camera; the metric ``narrows_edge_camera_state`` is 1 for the present one."""

    OK = "ok"
    AWAY = "away"
    FROZEN = "frozen"
    BLACK = "black"


class CameraWatch:
    """Judges each picture, and the lack of pictures. ``tell`` hears of each event: a state entered, or ``resized``."""

    def __init__(self, monotonic_s: Callable[[], float], tell: Callable[[str, str], None], *, live: bool) -> None:
        """``live``: a folder or file may hold a still picture, a camera may not."""
        self._monotonic_s = monotonic_s
        self._tell = tell
        self._live = live
        self._last: NDArray[np.uint8] | None = None
        self._repeats = 0
        self._seen_s = self._changed_s = self._lit_s = monotonic_s()
        self.state = CameraState.OK

    def saw(self, picture: NDArray[np.uint8]) -> None:
        """A picture ``(H, W, 3)`` uint8 came; it must not be changed afterwards."""
        last, self._last = self._last, picture
        now_s = self._seen_s = self._monotonic_s()
        if last is not None and last.shape != picture.shape:
            _LOG.warning("camera_resized", before=_size(last), now=_size(picture))
            self._tell("resized", self.state)
        if last is not None and _same(last, picture):
            self._repeats += 1
        else:
            self._repeats, self._changed_s = 0, now_s
        if not is_dark(picture):
            self._lit_s = now_s
        self._enter(self._judge(now_s))

    def waits(self) -> None:
        """No picture is there yet."""
        if self._monotonic_s() - self._seen_s >= AWAY_S:
            self._repeats = 0
            self._changed_s = self._lit_s = self._monotonic_s()
            self._enter(CameraState.AWAY)

    def _judge(self, now_s: float) -> CameraState:
        if now_s - self._lit_s >= BLACK_S:
            return CameraState.BLACK
        if self._live and self._repeats >= _FROZEN_FRAMES and now_s - self._changed_s >= FROZEN_S:
            return CameraState.FROZEN
        return CameraState.OK

    def _enter(self, state: CameraState) -> None:
        if state is self.state:
            return
        before, self.state = self.state, state
        self._tell(state.value, state)
        if state is CameraState.OK:
            _LOG.info("camera_ok", after=before.value)
        else:
            _LOG.warning("camera_not_ok", state=state.value, remedy=_REMEDY[state.value])


def is_dark(picture: NDArray[np.uint8]) -> bool:
    """Whether all but a few of a picture's pixels are nearly black; looks at every eighth row and column."""
    return bool(np.percentile(picture[::8, ::8].max(axis=2), _DARK_SHARE_PERCENT) < _DARK_LEVEL)


def _same(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> bool:
    """Every byte; but most pictures differ within the few rows that are compared first."""
    return one.shape == other.shape and np.array_equal(one[::16], other[::16]) and np.array_equal(one, other)


def _size(picture: NDArray[np.uint8]) -> str:
    return f"{picture.shape[1]}x{picture.shape[0]}"
