"""An error that nobody foresaw ends neither a loop nor its neighbours: it is logged, counted, and the loop goes on.

One mechanism for every loop that lasts as long as its program. It stands at the loop's outermost point, and around each
record of a round, so that one bad record does not keep the others from being read. Expected trouble (Redis away, a
camera gone) is a named error and handled where it is met. Cancellation passes. What happens before the loops begin is
not guarded: a program that cannot start ends and says why.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import structlog

from narrows.contract.errors import ServiceError
from narrows.runtime.backoff import Backoff

_log = structlog.get_logger(__name__)
_FIRST_S, _LONGEST_S = 0.2, 10.0
_STEADY_S = 60.0
_SAY_AGAIN_S = 60.0
_MOST_SAID = 1000


def _count_nothing(_loop: str) -> None:
    """For programs without metrics."""


def _nothing(_error: Exception) -> bool:
    return False


def is_service_error(error: Exception) -> bool:
    """Whether Redis or Triton is to blame, and not the record."""
    return isinstance(error, ServiceError)


class LoopGuard:
    """Guards the loops of one program.

    Args:
        count: is told the loop's name each time: what moves ``narrows_loop_crashes_total``.
        monotonic: seconds.
    """

    def __init__(
        self, count: Callable[[str], None] = _count_nothing, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._count, self._monotonic = count, monotonic
        self._said_s: dict[str, float] = {}

    async def keep(self, name: str, loop: Callable[[], Awaitable[None]]) -> None:
        """Run a loop until it returns; begin it anew, after a pause that doubles, whenever an error ends it."""
        backoff = Backoff(_FIRST_S, _LONGEST_S)
        while True:
            begun_s = self._monotonic()
            try:
                await loop()
            except Exception as error:  # noqa: BLE001 - the outermost point of every loop
                self._crashed(name, error)
            else:
                return
            if self._monotonic() - begun_s > _STEADY_S:
                backoff.reset()
            await asyncio.sleep(backoff.next_delay_s())

    def keep_in_thread(self, name: str, loop: Callable[[], None], ended: threading.Event) -> None:
        """As :meth:`keep`, for a loop that has a thread of its own; ``ended`` ends the pauses, and it."""
        backoff = Backoff(_FIRST_S, _LONGEST_S)
        while not ended.is_set():
            begun_s = self._monotonic()
            try:
                loop()
            except Exception as error:  # noqa: BLE001 - the outermost point of every loop
                self._crashed(name, error)
            else:
                return
            if self._monotonic() - begun_s > _STEADY_S:
                backoff.reset()
            ended.wait(backoff.next_delay_s())

    @contextmanager
    def one(self, name: str, of: str, *, passing: Callable[[Exception], bool] = _nothing) -> Iterator[None]:
        """Leave out the rest of one record's turn where an error ends it; the loop goes on with the next.

        Args:
            name: of the loop.
            of: which record, for the log.
            passing: tells errors that concern every record alike, such as Redis being away.
        """
        try:
            yield
        except Exception as error:
            if passing(error):
                raise
            self._crashed(name, error, of)

    def _crashed(self, name: str, error: Exception, of: str = "") -> None:
        self._count(name)
        said = f"{name} {of} {error!r}"
        now_s = self._monotonic()
        if now_s - self._said_s.get(said, float("-inf")) < _SAY_AGAIN_S:
            return
        if len(self._said_s) >= _MOST_SAID:
            self._said_s.clear()
        self._said_s[said] = now_s
        _log.error("loop_crashed", loop=name, of=of, error=repr(error)[:300], exc_info=error)
