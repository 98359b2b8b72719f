"""Control records: what is asked of one camera, changed field by field."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import structlog
from msgspec.structs import replace

from narrows.contract.errors import RecordError
from narrows.contract.wire.control import Control
from narrows.runtime.redis.store import ReplyRefused, Store
from orchestrator.dispatch.stream import Stream

_log = structlog.get_logger(__name__)
MAX_TTL_MS = 30_000


class ControlRecords:
    """Read, changed and written: the fields that others set stay. Each write lets the whole record live on.

    One for a dispatcher: its changes wait for each other.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._changing = asyncio.Lock()

    async def ask_for_key(self, stream: Stream, key_request: int, ttl_ms: int) -> None:
        """Ask one camera for a key frame.

        Raises:
            ServiceError: Redis is away.
        """
        async with self._changing:
            (found,) = await self._store.many([("GET", stream.keys.control)])
            record = replace(_parse(stream, found), key_request=key_request)
            await self._store.call("SET", stream.keys.control, record.to_json(), "PX", ttl_ms)

    async def ask(self, asked: Mapping[Stream, Mapping[str, Any]], ttl_ms: int) -> None:
        """Ask cameras, each by fields of its record (``frames_per_s``, ``send``); ``None`` asks for nothing any more.

        A record with a pin outlives the change of its stream's owner: nobody wants a camera to plan in between.

        Raises:
            ServiceError: Redis is away.
        """
        async with self._changing:
            found = await self._store.many([("GET", stream.keys.control) for stream in asked])
            records = {
                stream: replace(_parse(stream, data), **fields)
                for (stream, fields), data in zip(asked.items(), found, strict=True)
            }
            await self._store.many(
                [
                    ("SET", stream.keys.control, record.to_json(), "PX", MAX_TTL_MS if record.design else ttl_ms)
                    for stream, record in records.items()
                ]
            )


def _parse(stream: Stream, data: bytes | ReplyRefused | None) -> Control:
    """What a record says; one that cannot be read says nothing, and is replaced."""
    try:
        return Control() if data is None or isinstance(data, ReplyRefused) else Control.parse(data)
    except RecordError as error:
        _log.warning("control_record_replaced", stream=stream.id, error=str(error))
        return Control()
