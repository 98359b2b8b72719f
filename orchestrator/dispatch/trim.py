"""Trimming streams to their caps: no camera is relied on to do it, and none can fill Redis."""

from __future__ import annotations

import structlog

from narrows.contract.errors import PacketTooLarge
from narrows.contract.wire.feature import MAX_PACKET_BYTES
from narrows.contract.wire.keys import GROUP
from narrows.contract.wire.outcome import Refusal, outcome_to_json
from narrows.runtime.redis.store import Store
from orchestrator.dispatch.admission import MOST_ENTRY_BYTES, TOO_LARGE
from orchestrator.dispatch.scripts import TRIM
from orchestrator.dispatch.settings import DispatchSettings
from orchestrator.dispatch.stream import Stream
from orchestrator.telemetry.metrics import Metrics

_log = structlog.get_logger(__name__)
_REASON = PacketTooLarge.reason
_BODY = outcome_to_json(Refusal(_REASON, TOO_LARGE))
_SHARE, _ISOLATED_SHARE = 8, 4
_LEAST_CAP_BYTES = 4 * MAX_PACKET_BYTES


def byte_cap(stream_bytes: int, most_bytes: int, isolated: int) -> int:
    """What a stream may hold, in bytes: those that send too much leave the others room.

    Args:
        stream_bytes: what the settings allow.
        most_bytes: the server's ``maxmemory``, 0 for none: a stream gets an eighth of it.
        isolated: streams that send too much: together they get a quarter.
    """
    if most_bytes <= 0:
        return stream_bytes
    share = min(most_bytes // _SHARE, most_bytes // _ISOLATED_SHARE // max(1, isolated))
    return min(stream_bytes, max(_LEAST_CAP_BYTES, share))


class Trimmer:
    """Removes what a stream holds beyond its caps, unread and counted."""

    def __init__(self, store: Store, consumer: str, metrics: Metrics, settings: DispatchSettings) -> None:
        self._store, self._consumer, self._metrics, self._settings = store, consumer, metrics, settings

    async def trim(self, stream: Stream, most_bytes: int) -> bool:
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
            most_bytes,
            MOST_ENTRY_BYTES,
            settings.retention,
            settings.retention_s * 1000,
            settings.dead_letters,
            stream.id,
            _REASON,
            _BODY,
            TOO_LARGE,
            GROUP,
            self._consumer,
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
        _log.warning("stream_trimmed", stream=stream.id, entries=trimmed, too_large=too_large)
