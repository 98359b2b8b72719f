"""Where pictures come from: the contracts that every source and every kind of camera keep."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from threading import Event
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from narrows.contract.errors import SourceError

Picture = NDArray[np.uint8]
Pictures = Generator[Callable[[], Picture], None, None]
"""Pictures whose colours are converted only when they are called for."""


@dataclass(frozen=True, slots=True)
class CameraFrame:
    """One picture.

    Attributes:
        name: what to call it.
        picture: ``(H, W, 3)`` uint8 RGB, upright.
        capture_ms: when it was taken, Unix milliseconds.
        session: by which connection it came; another number than the frame's before says that there is a gap between.
    """

    name: str
    picture: Picture
    capture_ms: int
    session: int = 0


class CameraSource(Protocol):
    """Yields frames one by one. A stored source yields every frame; a live one yields the newest."""

    @property
    def passed_over(self) -> int:
        """Frames that the camera gave and that were never read, because a newer one was there."""

    @property
    def broken_off(self) -> int:
        """How often the camera broke off or could not be reached."""

    @property
    def unreadable(self) -> int:
        """Pictures, frames or packets that were skipped because they are damaged or cannot be shown faithfully."""

    def read(self) -> CameraFrame | None:
        """The next frame; ``None`` after the last.

        Raises:
            SourceError: nothing of it can be read; the message names it and says why.
        """

    def close(self) -> None:
        """Let go of files, devices and threads."""


class StreamBroken(SourceError):
    """A video or camera cannot be opened, or broke off; ``str`` says why."""


class Feed(Protocol):
    """One kind of camera: how it is reached. A new kind is a file in ``kinds/``."""

    @property
    def address(self) -> str:
        """Where it is; it may hold a password."""

    def pictures(self, ended: Event, damaged: Callable[[str], None]) -> Pictures:
        """Connect once, and give each picture as it comes; its colours are converted only if it is called for.

        Args:
            ended: set when nobody wants more; long waits look at it.
            damaged: told of each thing that was skipped, and why.

        Raises:
            StreamBroken: it cannot be reached, or broke off.
            SourceError: trying again would not help; the message says what would.
        """
