"""Asking a camera for a key frame, through its control record."""

from __future__ import annotations

import time
from collections.abc import Callable

from orchestrator.dispatch.control_records import ControlRecords
from orchestrator.dispatch.store import Store
from orchestrator.dispatch.stream import Stream

_TTL_MS = 30_000
_NOT_AGAIN_WITHIN_S = 1.0
_COUNTER = "key_requests"


class KeyRequests:
    """Asks at most once a second per stream: what was sent before the camera saw the request fails as well."""

    def __init__(self, store: Store, records: ControlRecords, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._store, self._records = store, records
        self._monotonic = monotonic
        self._asked_s: dict[str, float] = {}

    async def ask(self, stream: Stream) -> None:
        """Count the stream's key request up; the count outlives the record, for a camera acts on a new value.

        Raises:
            ServiceError: Redis is away.
        """
        now_s = self._monotonic()
        if now_s - self._asked_s.get(stream.id, float("-inf")) < _NOT_AGAIN_WITHIN_S:
            return
        self._asked_s[stream.id] = now_s
        count = await self._store.call("HINCRBY", stream.keys.ledger, _COUNTER, 1)
        await self._records.ask_for_key(stream, int(count) & 0xFFFFFFFF, _TTL_MS)
