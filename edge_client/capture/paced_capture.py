"""Capture: pictures of a source at the pace that is asked for, each looked at before it is encoded."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Event
from typing import Self

from edge_client.capture.camera_watch import CameraWatch
from edge_client.capture.pacer import Pacer
from edge_client.capture.sources import CameraFrame, CameraSource, is_live, open_source
from edge_client.settings import EdgeSettings
from edge_client.stats import Tally

_PAUSE_S = 5.0
"""The longest wait between two beats; a sixth of what the watchdog grants the main loop."""


@dataclass(frozen=True)
class PacedCapture:
    """A source, when its next picture is due, and whether its pictures are worth encoding.

    Attributes:
        stop: ends every wait.
        beat: called while it waits.
        live: a camera, of which a frame that is not read now is gone.
    """

    source: CameraSource
    watch: CameraWatch
    pacer: Pacer
    stop: Event
    beat: Callable[[], None]
    live: bool

    @classmethod
    def open(cls, settings: EdgeSettings, stop: Event, beat: Callable[[], None], tally: Tally) -> Self:
        """Open the source of the settings.

        Raises:
            SourceError: there is no such source, or it cannot be read; the message says what is.
        """
        live = is_live(settings.source)
        watch = CameraWatch(time.monotonic, tally.camera, live=live)

        def waiting() -> None:
            beat()
            watch.waits()

        source = open_source(
            settings.source, loop=settings.loop, stop=stop, waiting=waiting, frames_per_s=settings.frames_per_s
        )
        return cls(source, watch, Pacer(time.monotonic), stop, beat, live)

    def wait_until_due(self, frames_per_s: Callable[[], float]) -> bool:
        """Wait for the next frame's time; whether it came before ``stop``.

        Whoever is asked for a frame an hour is asked anew every five seconds: another rate may hold by then.
        """
        while (delay_s := self.pacer.delay_s(frames_per_s(), within_s=_PAUSE_S)) > _PAUSE_S:
            if self.stop.wait(_PAUSE_S):
                return False
            self.beat()
        return not self.stop.wait(delay_s)

    def read(self) -> CameraFrame | None:
        """The next frame; ``None`` after the last, or once ``stop`` is set.

        Raises:
            SourceError: nothing of the source can be read.
        """
        frame = self.source.read()
        if frame is not None:
            self.watch.saw(frame.picture)
        return frame

    def report(self, tally: Tally) -> None:
        """Tell what the source has counted so far."""
        events = {"broken_off": self.source.broken_off, "unreadable": self.source.unreadable}
        tally.source(self.source.passed_over, self.pacer.behind_s, events)

    def close(self) -> None:
        """Let go of files, devices and threads."""
        self.source.close()
