"""Frames that were taken up before without an end: each may be what ended a process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext

from narrows.contract.errors import FrameRefused, ServiceError
from narrows.contract.wire.keys import GROUP
from narrows.runtime.redis.store import Store
from orchestrator.dispatch.stream import Frame

_UNCOUNTED = nullcontext()


class Suspects:
    """Counts their deliveries in Redis while they are worked on."""

    def __init__(self, store: Store, consumer: str) -> None:
        self._store, self._consumer = store, consumer
        self._one = asyncio.Semaphore(1)

    def counted(self, frame: Frame) -> AbstractAsyncContextManager[None]:
        """Work that this frame itself is in, and that could end this process.

        What others took up before without an end is a suspect. Its delivery is counted in Redis before the work, and no
        longer once it is done: so the waits between, for a batch, a server or its turn, are held against no frame.
        One suspect is worked on at a time, or those beside it would be counted with it.
        """
        return self._counted(frame) if frame.claimed else _UNCOUNTED

    @asynccontextmanager
    async def _counted(self, frame: Frame) -> AsyncIterator[None]:
        async with self._one:
            await self._set_deliveries(frame, frame.deliveries)
            try:
                yield
            except (FrameRefused, ServiceError):
                await self._set_deliveries(frame, frame.deliveries - 1)
                raise
            await self._set_deliveries(frame, frame.deliveries - 1)

    async def _set_deliveries(self, frame: Frame, deliveries: int) -> None:
        key = frame.stream.keys.features
        await self._store.set_deliveries(key, GROUP, self._consumer, frame.entry.id, deliveries)
