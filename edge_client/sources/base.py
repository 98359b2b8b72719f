"""Where pictures come from: the contract that every source keeps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture.

    Attributes:
        name: what to call it.
        picture: ``(H, W, 3)`` uint8 RGB.
        capture_ms: when it was taken, Unix milliseconds.
        session: by which connection it came; another number than the frame's before says that there is a gap between.
    """

    name: str
    picture: NDArray[np.uint8]
    capture_ms: int
    session: int = 0


class Source(Protocol):
    """Yields frames one by one. A stored source yields every frame; a live one yields the newest."""

    @property
    def passed_over(self) -> int:
        """Frames that the camera gave and that were never read, because a newer one was there."""

    @property
    def broken_off(self) -> int:
        """How often the camera broke off or could not be reached."""

    def read(self) -> Frame | None:
        """The next frame; ``None`` after the last.

        Raises:
            SourceError: what should be a picture cannot be read; the message names it.
        """

    def close(self) -> None:
        """Let go of files, devices and threads."""
