"""Trimming streams to their caps: no camera is relied on to do it, and none can fill Redis."""

from __future__ import annotations

import structlog

from narrows.errors import PacketTooLarge
from narrows.wire.outcome import Refusal, outcome_to_json
from orchestrator.dispatch.admission import MOST_ENTRY_BYTES, TOO_LARGE
from orchestrator.dispatch.scripts import TRIM
from orchestrator.dispatch.settings import DispatchSettings
from orchestrator.dispatch.store import Store
from orchestrator.dispatch.stream import Stream
from orchestrator.metrics import Metrics

_log = structlog.get_logger(__name__)
_REASON = PacketTooLarge.reason
_BODY = outcome_to_json(Refusal(_REASON, TOO_LARGE))


class Trimmer:
    """Removes what a stream holds beyond its caps, unread and counted."""

    def __init__(self, store: Store, metrics: Metrics, settings: DispatchSettings) -> None:
        self._store, self._metrics, self._settings = store, metrics, settings

    async def trim(self, stream: Stream) -> bool:
        """Trim one stream; answers whether there was anything beyond its caps.

        Raises:
            ServiceError: Redis is away, or refuses.
        """
        keys, shard_keys, settings = stream.keys, stream.shard_keys, self._settings
        trimmed, too_large = await self._store.run(
            TRIM,
            [shard_keys.fence, keys.features, keys.outcomes, keys.ledger, shard_keys.dead],
            stream.lease.token,
            settings.stream_entries,
            settings.stream_bytes,
            MOST_ENTRY_BYTES,
            settings.retention,
            settings.retention_s * 1000,
            settings.dead_letters,
            stream.id,
            _REASON,
            _BODY,
            TOO_LARGE,
            *stream.held,
        )
        if trimmed <= 0 and too_large <= 0:
            return False
        self._count(stream, int(trimmed), int(too_large))
        return True

    def _count(self, stream: Stream, trimmed: int, too_large: int) -> None:
        stream.trimmed += trimmed + too_large
        group = self._metrics.group(stream.settings.group)
        self._metrics.trimmed.labels(group).inc(trimmed)
        if too_large:
            self._metrics.frames.labels("refused", _REASON, group).inc(too_large)
            self._metrics.dead_letters.labels(_REASON).inc(too_large)
        _log.warning("a stream was trimmed to its cap", stream=stream.id, entries=trimmed, too_large=too_large)
