"""Asking a camera for a key frame, through its control record."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import structlog

from narrows.errors import RecordError
from narrows.wire.control import Control
from orchestrator.dispatch.store import Store
from orchestrator.dispatch.stream import Stream

_log = structlog.get_logger(__name__)
_TTL_MS = 30_000
_NOT_AGAIN_WITHIN_S = 1.0
_COUNTER = "key_requests"


class KeyRequests:
    """Asks at most once a second per stream: what was sent before the camera saw the request fails as well."""

    def __init__(self, store: Store, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._store = store
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
        control = replace(await self._present(stream), key_request=int(count) & 0xFFFFFFFF)
        await self._store.call("SET", stream.keys.control, control.to_json(), "PX", _TTL_MS)

    async def _present(self, stream: Stream) -> Control:
        data = await self._store.call("GET", stream.keys.control)
        try:
            return Control() if data is None else Control.parse(data)
        except RecordError as error:
            _log.warning("a control record was replaced", stream=stream.id, error=str(error))
            return Control()
