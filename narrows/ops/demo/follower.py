"""Threads that follow the streams and hand every outcome, with the time of its arrival, to the one that counts."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from threading import Event, Thread
from types import TracebackType
from typing import Self

from narrows.client.subscription import Outcome, Subscription, subscribe
from narrows.contract.errors import NarrowsError, ServiceError

_POLL_S = 0.3
_PATIENCE_S = 10.0


@dataclass(frozen=True, slots=True)
class Arrival:
    """An outcome of a stream and when it was read, Unix milliseconds."""

    stream: str
    outcome: Outcome
    received_ms: float


@dataclass
class Follower:
    """Follows every stream from before its first frame; a context manager."""

    redis_url: str
    streams: Sequence[str]
    _arrivals: SimpleQueue[Arrival | NarrowsError] = field(default_factory=SimpleQueue)
    _stop: Event = field(default_factory=Event)
    _threads: list[Thread] = field(default_factory=list)

    def __enter__(self) -> Self:
        """Subscribe, and begin to read.

        Raises:
            ServiceError: Redis does not answer.
        """
        for stream in self.streams:
            subscription = subscribe(stream, redis_url=self.redis_url, timeout_s=_POLL_S)
            thread = Thread(target=self._follow, args=(stream, subscription), name=f"follow {stream}", daemon=True)
            self._threads.append(thread)
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=2.0)

    def arrivals(self, wait_s: float) -> Iterator[Arrival]:
        """What has arrived; waits at most ``wait_s`` for the first.

        Raises:
            ServiceError: Redis refuses, or has been away for ten seconds.
            RecordError: an outcome cannot be read.
        """
        timeout_s: float | None = wait_s
        while True:
            try:
                arrival = self._arrivals.get(timeout=timeout_s) if timeout_s else self._arrivals.get_nowait()
            except Empty:
                return
            if isinstance(arrival, NarrowsError):
                raise arrival
            yield arrival
            timeout_s = None

    def _follow(self, stream: str, subscription: Subscription) -> None:
        heard_s = time.monotonic()
        with subscription:
            while not self._stop.is_set():
                try:
                    for outcome in subscription:
                        self._arrivals.put(Arrival(stream, outcome, time.time() * 1000))
                        heard_s = time.monotonic()
                        if self._stop.is_set():
                            return
                    heard_s = time.monotonic()
                except NarrowsError as error:
                    away = isinstance(error, ServiceError) and time.monotonic() - heard_s < _PATIENCE_S
                    if not away:
                        self._arrivals.put(error)
                        return
                    self._stop.wait(_POLL_S)
