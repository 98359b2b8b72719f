"""The thread that runs the uplink, round after round, and outlives every error but one of this machine's."""

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
    """Runs an uplink until halted.

    The connection is the thread's from ``start`` on, which closes it at its end: redis-py takes no close from outside
    while it waits for an answer.
    """

    def __init__(self, uplink: Uplink, outbox: Outbox, beat: Callable[[], None]) -> None:
        """``beat`` is called once a round."""
        self._uplink = uplink
        self._outbox = outbox
        self._beat = beat
        self._halted = Event()
        self._ended_by: NarrowsError | None = None
        self._thread = Thread(target=self._run, name="uplink", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

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
            self._uplink.close()

    def _send_until_halted(self) -> None:
        while not self._halted.is_set():
            self._beat()
            try:
                pause_s = self._uplink.step()
            except RedisError as error:
                pause_s = self._uplink.failed(error)
            except NarrowsError as error:  # of this machine, such as a spool that cannot be written
                self._ended_by = error
                return
            except Exception:
                self._uplink.crashed()
                raise
            self._halted.wait(pause_s)
