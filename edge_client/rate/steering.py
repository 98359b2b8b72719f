"""Which rate level and how many frames a second: what is allowed, and what of it fits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from narrows.contract.wire import Control


@dataclass(frozen=True, slots=True)
class Choice:
    """The rate level and the frames per second to work at."""

    level: int
    frames_per_s: float


def steer(own: Choice, control: Control | None, levels: int) -> Choice:
    """The camera's own limits, bent by a control record: the finest level and the most frames a second.

    A level beyond the bundle's asks for a coarser one than there is, so the coarsest is used. A frame rate is a cap:
    it never makes a camera faster. Without a record the camera decides alone. ``key_request`` is met by
    ``coding.KeyRequests``; ``cut`` by the only cut there is.
    """
    if control is None:
        return own
    level = own.level if control.level is None else min(control.level, levels - 1)
    rate = own.frames_per_s if control.frames_per_s is None else min(own.frames_per_s, control.frames_per_s)
    return Choice(level, rate)


def fit(
    bytes_per_s: float, size_of: Callable[[int], float], limits: Choice, levels: int, least_frames_per_s: float
) -> Choice:
    """The finest level at which all frames fit; where none does, the coarsest at the frames a second that fit.

    A frame that is missing costs its whole mask, a coarser one a few points of it: so all levels are gone through
    before a frame is. ``size_of`` is the size of a level's packet on the link.
    """
    for level in range(limits.level, levels):
        if limits.frames_per_s * size_of(level) <= bytes_per_s:
            return Choice(level, limits.frames_per_s)
    rate = max(bytes_per_s / size_of(levels - 1), least_frames_per_s)
    return Choice(levels - 1, min(limits.frames_per_s, rate))


class Ladder:
    """Climbs to a finer level only after it has fitted for a while; steps down at once.

    A level that had to be left soon after it was reached is waited for twice as long the next time. So however the link
    behaves, the climbs in a time grow with its logarithm: each forces a key frame, and none may come in a rhythm.
    Until a level had to be left nothing speaks against the next one, and it is waited for less long.
    """

    FIRST_HOLD_S, HOLD_S, LONGEST_HOLD_S, SOON_S = 2.0, 3.0, 60.0, 15.0

    def __init__(self, level: int) -> None:
        self.level = level
        self._hold_s = self.FIRST_HOLD_S
        self._fits_since_s: float | None = None
        self._climbed_s: float | None = None

    def start(self, level: int, now_s: float) -> None:
        """Begin at a level that the link was seen to bear, without having waited for it."""
        if level != self.level:
            self.level, self._climbed_s = level, now_s

    def step(self, fitting: int, now_s: float) -> int:
        """The level to use, when ``fitting`` is the finest one that fits at this moment."""
        if fitting >= self.level:
            self._fits_since_s = None
            if fitting > self.level:
                self._leave(now_s)
                self.level = fitting
        elif self._fits_since_s is None:
            self._fits_since_s = now_s
        elif now_s - self._fits_since_s >= self._hold_s:
            self.level -= 1
            self._climbed_s, self._fits_since_s = now_s, None
        return self.level

    def _leave(self, now_s: float) -> None:
        if self._climbed_s is None:
            return
        soon = now_s - self._climbed_s < self.SOON_S
        self._hold_s = min(2 * max(self._hold_s, self.HOLD_S), self.LONGEST_HOLD_S) if soon else self.HOLD_S
        self._climbed_s = None
