"""The thread that makes the uplink and runs it, and outlives every error but one of this machine's."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Thread

from redis.exceptions import RedisError

from edge_client.transport.outbox import Outbox
from edge_client.transport.uplink import Uplink
from narrows.contract.errors import NarrowsError
from narrows.runtime.loop_guard import LoopGuard

BEAT_S = 60.0
"""More than a round takes: connecting and its greetings, answers a refusal waits for, the wait before another try."""


class UplinkThread:
    """Makes an uplink, which may take as long as Redis is away, and runs it until halted.

    The connection is the thread's from ``start`` on, which closes it at its end: redis-py takes no close from outside
    while it waits for an answer.

    Attributes:
        uplink: ``None`` until it is known where the stream lies.
        opened: set once it is there.
    """

    def __init__(self, open_uplink: Callable[[Event], Uplink | None], outbox: Outbox, beat: Callable[[], None]) -> None:
        """``open_uplink`` waits for what it needs, or gives up once its event is set; ``beat``: called once a round."""
        self.uplink: Uplink | None = None
        self.opened = Event()
        self._open_uplink = open_uplink
        self._outbox = outbox
        self._beat = beat
        self._halted = Event()
        self._ended_by: NarrowsError | None = None
        self._thread = Thread(target=self._run, name="uplink", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def open(self) -> Uplink | None:
        """Make the uplink, if there is none yet; ``None`` if the thread was halted before it could be made."""
        if self.uplink is None:
            self.uplink = self._open_uplink(self._halted)
            self.opened.set()
        return self.uplink

    def check(self) -> None:
        """Raise what ended the thread, if this machine's fault did."""
        if self._ended_by is not None:
            raise self._ended_by

    def halt(self) -> None:
        """End the thread, giving up what is still unsent; waits a moment, never for Redis."""
        self._halted.set()
        self._outbox.wake()
        self._thread.join(timeout=0.2)
        self._outbox.abandon()

    def _run(self) -> None:
        try:
            LoopGuard().keep_in_thread("uplink", self._send_until_halted, self._halted)
        finally:
            if self.uplink is not None:
                self.uplink.close()

    def _send_until_halted(self) -> None:
        try:
            uplink = self.open()
            while uplink is not None and not self._halted.is_set():
                self._beat()
                self._halted.wait(_step(uplink))
        except NarrowsError as error:  # of this machine, such as a spool that cannot be written
            self._ended_by = error


def _step(uplink: Uplink) -> float:
    """One round; seconds to wait before the next."""
    try:
        return uplink.step()
    except RedisError as error:
        return uplink.failed(error)
    except NarrowsError:
        raise
    except Exception:
        uplink.crashed()
        raise
