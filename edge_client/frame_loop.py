"""The main thread's loop: frame after frame until enough were sent, then what still waits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import Event

from edge_client.pipeline import Pipeline, Step
from edge_client.progress import Progress
from edge_client.sd_notify import READY, STOPPING, notify
from edge_client.transport.sender import Sender

FLUSH_S = 1.6
"""After a request to stop; with what follows it keeps within two seconds."""
MAIN_BEAT_S = 30.0
"""How long the watchdog waits for the next round of this loop."""
_DRAIN_POLL_S = 0.2


@dataclass(frozen=True)
class FrameLoop:
    """One run, from the first frame to the last. It begins and ends the uplink's thread.

    Attributes:
        frames: end after so many frames were sent; ``None`` goes on.
        stop: ends the run before that.
        beat: called once a round.
    """

    pipeline: Pipeline
    frames: int | None
    stop: Event
    beat: Callable[[], None]
    progress: Progress

    def run(self) -> None:
        """Send frames until there are no more to send, then what still waits.

        Raises:
            NarrowsError: what ended the capture or the uplink's thread.
        """
        self._sender.start()
        notify(READY)
        try:
            while self._encode_until_enough():
                self._drain()
                if self._has_enough():
                    break
            self._drain()
        finally:
            notify(STOPPING)
            self._sender.stop(FLUSH_S)

    @property
    def _sender(self) -> Sender:
        return self.pipeline.sender

    def _encode_until_enough(self) -> bool:
        """Whether there is more to encode, should what waits be given up after all."""
        while not self._has_enough():
            step = self.pipeline.next_frame()
            self._report()
            if step is Step.ENDED:
                return False
        return True

    def _has_enough(self) -> bool:
        """Whether ``--frames`` will be met by what is sent and waiting: a frame that is given up is made up for."""
        return self.frames is not None and self._sender.sent_or_hopeful >= self.frames

    def _report(self) -> None:
        self.beat()
        self._sender.check()
        self.pipeline.capture.report(self.pipeline.tally)
        self.progress.tick(self.pipeline.tally.snapshot())

    def _drain(self) -> None:
        while not (self.stop.is_set() or self._sender.wait_empty(_DRAIN_POLL_S)):
            self._report()
