"""A file that is touched as frames leave: what a container's health check looks at."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from narrows.contract.errors import StateError

_PERIOD_S = 1.0


class Alive:
    """Touches ``path`` when Redis took a frame, at most once a second; without a path it does nothing."""

    def __init__(self, path: Path | None, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        """Look whether the file can be touched, and leave none from a former run.

        Raises:
            StateError: its folder cannot be written.
        """
        self._path, self._monotonic_s = path, monotonic_s
        self._next_s = float("-inf")
        try:
            if path is not None:
                path.touch()
                path.unlink()
        except OSError as error:
            raise StateError(f"{path} cannot be written ({error.strerror}): give another --alive") from None

    def sent(self) -> None:
        """Redis took a frame."""
        now_s = self._monotonic_s()
        if self._path is None or now_s < self._next_s:
            return
        self._next_s = now_s + _PERIOD_S
        try:
            self._path.touch()
        except OSError:  # a full disk: then the check fails, which is what it is for; frames go on
            return
