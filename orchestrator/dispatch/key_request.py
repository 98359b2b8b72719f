"""Asking a camera for a key frame, through its control record."""

from __future__ import annotations

import time
from collections.abc import Callable

from narrows.runtime.redis.store import Store
from orchestrator.dispatch.control_records import MAX_TTL_MS, ControlRecords
from orchestrator.dispatch.stream import Stream

_NOT_AGAIN_WITHIN_S = 1.0
_COUNTER = "key_requests"


class KeyframeRequests:
    """Asks at most once a second per stream: what was sent before the camera saw the request fails as well."""

    def __init__(self, store: Store, records: ControlRecords, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._store, self._records = store, records
        self._monotonic = monotonic
        self._asked: dict[str, tuple[float, int]] = {}

    async def ask(self, stream: Stream) -> None:
        """Count the stream's key request up; the count outlives the record, for a camera acts on a new value.

        Raises:
            ServiceError: Redis is away.
        """
        now_s = self._monotonic()
        asked_s, last = self._asked.get(stream.id, (float("-inf"), 0))
        if now_s - asked_s < _NOT_AGAIN_WITHIN_S:
            return
        self._asked[stream.id] = now_s, last
        count = int(await self._store.call("HINCRBY", stream.keys.ledger, _COUNTER, 1))
        if count <= last:  # Redis lost what it had counted, and the camera did not
            count = int(await self._store.call("HINCRBY", stream.keys.ledger, _COUNTER, last + 1 - count))
        self._asked[stream.id] = now_s, count
        await self._records.ask_for_key(stream, count & 0xFFFFFFFF, MAX_TTL_MS)
