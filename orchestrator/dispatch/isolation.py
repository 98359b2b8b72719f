"""Streams that sent too much are read apart from the others for a while: longer each time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import structlog

from orchestrator.dispatch.stream import Stream

_log = structlog.get_logger(__name__)
_MOST_DOUBLINGS = 6


class Isolation:
    """The isolated streams of a shard."""

    def __init__(self, isolated_s: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        """``isolated_s``: how long a stream is isolated the first time."""
        self._isolated_s, self._monotonic = isolated_s, monotonic
        self._until_s: dict[Stream, float] = {}
        self._any = asyncio.Event()

    def __len__(self) -> int:
        """How many there are."""
        return len(self._until_s)

    def __contains__(self, stream: Stream) -> bool:
        """Whether it is isolated."""
        return stream in self._until_s

    def begin(self, stream: Stream) -> None:
        """Isolate a stream from now on."""
        until_s = self._monotonic() + self._isolated_s * 2 ** min(stream.isolations, _MOST_DOUBLINGS)
        if stream not in self._until_s:
            stream.isolations += 1
            _log.warning("stream_isolated", stream=stream.id)
        self._until_s[stream] = until_s
        self._any.set()

    def end(self, stream: Stream) -> None:
        """Isolate it no longer."""
        del self._until_s[stream]
        if not self._until_s:
            self._any.clear()

    def over(self, stream: Stream) -> bool:
        """Whether it was isolated for long enough."""
        return self._monotonic() > self._until_s[stream]

    async def streams(self) -> list[Stream]:
        """Those that are isolated, once there are any."""
        await self._any.wait()
        return list(self._until_s)
