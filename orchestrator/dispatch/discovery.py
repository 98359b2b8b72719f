"""Finding streams: a camera needs no registration, its key appears and is read."""

from __future__ import annotations

from collections.abc import Collection

import structlog

from narrows.contract.errors import StreamIdInvalid
from narrows.contract.wire.keys import ShardKeys
from narrows.runtime.redis.store import Store
from orchestrator.shards.place import place_key
from orchestrator.telemetry.metrics import Metrics

_log = structlog.get_logger(__name__)
_PATTERN = "narrows:{*}:in:*"
_MOST_ODD_KEYS = 10_000


class Discovery:
    """Looks for feature keys; a key that no camera should have made is refused by name, once, and left alone."""

    def __init__(self, store: Store, shards: int, metrics: Metrics, dead_letters: int) -> None:
        self._store, self._shards, self._metrics, self._dead_letters = store, shards, metrics, dead_letters
        self._odd: set[bytes] = set()

    async def look(self, owned: Collection[int]) -> dict[int, list[str]]:
        """The streams of each owned shard.

        Raises:
            ServiceError: Redis is away.
        """
        found: dict[int, list[str]] = {shard: [] for shard in owned}
        for key in await self._store.scan_streams(_PATTERN):
            try:
                shard, stream = place_key(key, self._shards)
            except StreamIdInvalid as refusal:
                await self._refuse(key, refusal, owned)
                continue
            if shard in found:
                found[shard].append(stream)
        return found

    async def _refuse(self, key: bytes, refusal: StreamIdInvalid, owned: Collection[int]) -> None:
        """Count a key once, by the dispatcher that owns the shard in its name (shard 0 for names beyond all)."""
        shard = _claimed_shard(key, self._shards)
        if shard not in owned or key in self._odd or len(self._odd) >= _MOST_ODD_KEYS:
            return
        self._odd.add(key)
        _log.warning("stream_key_refused", key=key[:120], detail=str(refusal))
        self._metrics.frames.labels("refused", refusal.reason, self._metrics.group("default")).inc()
        self._metrics.dead_letters.labels(refusal.reason).inc()
        record = ("stream", key[:256], "reason", refusal.reason, "detail", str(refusal), "head", b"", "size", 0)
        await self._store.call("XADD", ShardKeys(shard).dead, "MAXLEN", "~", self._dead_letters, "*", *record)


def _claimed_shard(key: bytes, shards: int) -> int:
    digits = key.partition(b"{")[2].partition(b"}")[0]
    return int(digits) if digits.isdigit() and len(digits) <= 6 and int(digits) < shards else 0
