"""A camera: a device or a network stream that gives frames whether they are wanted or not.

::

    device ──► reading thread ──► one slot, the newest frame ──► read()
                    └─ breaks off: waits (jittered, doubling) and connects again
"""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Condition, Event, Thread
from typing import TYPE_CHECKING, NamedTuple

import structlog

from edge_client.sources.base import Frame
from edge_client.sources.decode import READ_S, StreamBroken, open_container, to_picture, video_frames
from narrows.backoff import Backoff
from narrows.redact import redact

if TYPE_CHECKING:
    from av import VideoFrame

_LOG = structlog.get_logger("edge.camera")
_SILENCE_S = READ_S - 1.0
_RTSP = {
    "rtsp_transport": "tcp",
    "fflags": "nobuffer",
    "flags": "low_delay",
    "timeout": str(round(_SILENCE_S * 1e6)),  # the socket's, in microseconds
}
_POLL_S = 0.2


class _Taken(NamedTuple):
    """A decoded frame; its colours are converted only if somebody reads it."""

    name: str
    decoded: VideoFrame
    capture_ms: int
    session: int


class LiveCamera:
    """The newest frame of a camera; older ones that nobody read are passed over and counted.

    Memory holds one frame, however slow the reader. A camera that is away is waited for.
    """

    def __init__(
        self,
        address: str,
        stop: Event,
        now_ms: Callable[[], int],
        container: str | None = None,
        waiting: Callable[[], None] | None = None,
    ) -> None:
        """``waiting`` is called a few times a second while :meth:`read` waits for a frame."""
        self._address = address
        self._format = container
        self._stop = stop
        self._now_ms = now_ms
        self._waiting = waiting or (lambda: None)
        self._closed = Event()
        self._fresh = Condition()
        self._newest: _Taken | None = None
        self._failure: Exception | None = None
        self._taken = 0
        self.passed_over = self.broken_off = 0
        self._thread = Thread(target=self._watch, name="camera", daemon=True)
        self._thread.start()

    def read(self) -> Frame | None:
        """Wait for a frame that was not read yet; ``None`` once the program stops."""
        with self._fresh:
            while self._newest is None:
                if self._failure is not None:
                    raise self._failure
                if self._stop.is_set():
                    return None
                self._fresh.wait(_POLL_S)
                self._waiting()
            taken, self._newest = self._newest, None
        return Frame(taken.name, to_picture(taken.decoded), taken.capture_ms, taken.session)

    def close(self) -> None:
        """End the reading thread; it may take a moment to notice, and holds the program up no longer than that."""
        self._closed.set()
        self._thread.join(timeout=0.2)

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
                    _LOG.warning("camera_away", camera=redact(self._address), cause=cause, next_try_s=round(wait_s, 1))
                    self._closed.wait(wait_s)
        except Exception as error:  # noqa: BLE001 -- a thread's outermost loop: read() raises it where it is seen
            self._failure = error

    def _follow(self) -> None:
        options = _RTSP if self._address.startswith(("rtsp://", "rtsps://")) else None
        with open_container(self._address, self._format, options) as container:
            heard_s = time.monotonic()
            for decoded in video_frames(container):
                before_s, heard_s = heard_s, time.monotonic()
                if options and heard_s - before_s >= _SILENCE_S:
                    # the socket's time ran out, and the parser let go of a frame that is as old as the silence
                    raise StreamBroken("TimeoutError: nothing came in time")
                self._offer(decoded)
                if self._closed.is_set():
                    return

    def _offer(self, decoded: VideoFrame) -> None:
        with self._fresh:
            self.passed_over += self._newest is not None
            self._newest = _Taken(f"live:{self._taken:08d}", decoded, self._now_ms(), self.broken_off)
            self._taken += 1
            self._fresh.notify()
