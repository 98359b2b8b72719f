"""What a control record makes of the camera's own choice."""

from __future__ import annotations

from dataclasses import dataclass

from narrows.wire import Control


@dataclass(frozen=True, slots=True)
class Choice:
    """The rate level and the frames per second to work at."""

    level: int
    frames_per_s: float


def steer(own: Choice, control: Control | None, levels: int) -> Choice:
    """The camera's own choice, bent by a control record.

    A level beyond the bundle's asks for a coarser one than there is, so the coarsest is used. A frame rate is a cap:
    it never makes a camera faster. Without a record the camera decides alone. ``key_request`` is met by every packet
    while all are K; ``cut`` is met by the only cut there is.
    """
    if control is None:
        return own
    level = own.level if control.level is None else min(control.level, levels - 1)
    rate = own.frames_per_s if control.frames_per_s is None else min(own.frames_per_s, control.frames_per_s)
    return Choice(level, rate)
