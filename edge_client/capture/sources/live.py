"""A camera: something that gives pictures whether they are wanted or not.

::

    feed ──► reading thread ──► one slot, the newest frame ──► read()
                 └─ breaks off: waits (jittered, doubling) and connects again

How each kind of camera is reached is its feed's: :class:`edge_client.capture.sources.base.Feed`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from threading import Condition, Event, Thread
from typing import NamedTuple

import structlog

from edge_client.capture.sources.base import CameraFrame, Feed, Picture, StreamBroken
from narrows.contract.errors import PictureError, SourceError
from narrows.runtime.backoff import Backoff
from narrows.runtime.redact import redact

_LOG = structlog.get_logger("edge.camera")
_POLL_S = 0.2
_UNREADABLE_AT_FIRST = 25


class _Taken(NamedTuple):
    """A frame; its colours are converted only if somebody reads it."""

    name: str
    picture: Callable[[], Picture]
    capture_ms: int
    session: int


class LiveCamera:
    """The newest frame of a camera; older ones that nobody read are passed over and counted.

    Memory holds one frame, however slow the reader. A camera that is away is waited for.
    """

    def __init__(
        self, feed: Feed, stop: Event, now_ms: Callable[[], int], waiting: Callable[[], None] | None = None
    ) -> None:
        """``waiting`` is called a few times a second while :meth:`read` waits for a frame."""
        self._feed = feed
        self._stop = stop
        self._now_ms = now_ms
        self._waiting = waiting or (lambda: None)
        self._closed = Event()
        self._fresh = Condition()
        self._newest: _Taken | None = None
        self._failure: Exception | None = None
        self._taken = 0
        self._any_read = False
        self._said = ""
        self.passed_over = self.broken_off = self.unreadable = 0
        self._thread = Thread(target=self._watch, name="camera", daemon=True)
        self._thread.start()

    def read(self) -> CameraFrame | None:
        """Wait for a frame that was not read yet; ``None`` once the program stops.

        A frame that cannot be shown is skipped and counted, as long as another was shown before.

        Raises:
            SourceError: trying again does not help, or none of the first frames can be shown.
        """
        while (taken := self._wait()) is not None:
            try:
                picture = taken.picture()
            except PictureError as error:
                self._skip(str(error))
                if not self._any_read and self.unreadable >= _UNREADABLE_AT_FIRST:
                    raise SourceError(f"{redact(self._feed.address)}: {error}") from None
                self._waiting()
                continue
            self._any_read = True
            return CameraFrame(taken.name, picture, taken.capture_ms, taken.session)
        return None

    def close(self) -> None:
        """End the reading thread; it may take a moment to notice, and holds the program up no longer than that."""
        self._closed.set()
        self._thread.join(timeout=0.2)

    def _wait(self) -> _Taken | None:
        with self._fresh:
            while self._newest is None:
                if self._failure is not None:
                    raise self._failure
                if self._stop.is_set():
                    return None
                self._fresh.wait(_POLL_S)
                self._waiting()
            taken, self._newest = self._newest, None
        return taken

    def _watch(self) -> None:
        backoff = Backoff()
        try:
            while not self._closed.is_set():
                before = self._taken
                try:
                    self._follow()
                    cause = "the stream ended"
                except StreamBroken as error:
                    cause = redact(str(error))
                if self._taken > before:
                    backoff.reset()
                if not self._closed.is_set():
                    self.broken_off += 1
                    wait_s = backoff.next_delay_s()
                    camera = redact(self._feed.address)
                    _LOG.warning("camera_away", camera=camera, cause=cause, next_try_s=round(wait_s, 1))
                    self._closed.wait(wait_s)
        except Exception as error:  # noqa: BLE001 -- a thread's outermost loop: read() raises it where it is seen
            self._failure = error

    def _follow(self) -> None:
        pictures = self._feed.pictures(self._closed, self._skip)
        with closing(pictures):
            for picture in pictures:
                self._offer(picture)
                if self._closed.is_set():
                    return

    def _offer(self, picture: Callable[[], Picture]) -> None:
        with self._fresh:
            self.passed_over += self._newest is not None
            self._newest = _Taken(f"live:{self._taken:08d}", picture, self._now_ms(), self.broken_off)
            self._taken += 1
            self._fresh.notify()

    def _skip(self, cause: str) -> None:
        """Count what is skipped, and say each new cause once."""
        with self._fresh:
            self.unreadable += 1
            new, self._said = cause != self._said, cause
        if new:
            _LOG.warning("picture_unreadable", camera=redact(self._feed.address), cause=redact(cause))
