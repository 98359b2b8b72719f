"""How each stream stands: its settings, what waits, how its frames ended, when it was last heard of."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import redis

from narrows.registry.registry import StreamRegistry
from narrows.wire import ShardKeys, StreamKeys, StreamSettings
from narrows.wire.keys import check_stream_id

_MOST_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class StreamOverview:
    """One stream. ``backlog`` counts frames that have not ended; ``seen_ms`` is the server's clock, 0 for never."""

    stream: str
    settings: StreamSettings
    registered: bool
    backlog: int
    ledger: dict[str, int]
    seen_ms: int


def overviews(registry: StreamRegistry, only: Collection[str] | None = None) -> list[StreamOverview]:
    """The streams named, or all that are registered or have a ledger; by name.

    Raises:
        RecordError: stored settings cannot be read.
    """
    registered = registry.registered()
    names = sorted(registered.keys() | set(_with_ledger(registry)) if only is None else only)
    return [_overview(registry, name, registered.get(name)) for name in names]


def _with_ledger(registry: StreamRegistry) -> Iterator[str]:
    for shard in range(registry.install.shards):
        prefix = f"{ShardKeys(shard).prefix}:ledger:"
        for key in registry.client.scan_iter(match=f"{prefix}*", count=1000):
            yield check_stream_id(key.decode("utf-8", "replace").removeprefix(prefix))


def _overview(registry: StreamRegistry, stream: str, settings: StreamSettings | None) -> StreamOverview:
    keys = StreamKeys.of(stream, registry.install.shards)
    client = registry.client
    backlog: Any = client.xlen(keys.features)
    ledger: Any = client.hgetall(keys.ledger)
    return StreamOverview(
        stream=stream,
        settings=settings or StreamSettings(),
        registered=settings is not None,
        backlog=int(backlog),
        ledger={name.decode("utf-8", "replace"): int(count) for name, count in ledger.items()},
        seen_ms=max(last_entry_ms(client, keys.features), last_entry_ms(client, keys.outcomes)),
    )


def last_entry_ms(client: redis.Redis, key: str) -> int:
    """When the last entry was added to a stream, even if it is gone by now; 0 where there is no such key.

    ``XINFO STREAM`` answers with two whole entries. Where a stream holds more than :data:`_MOST_BYTES` this is when the
    last one came that was read.
    """
    used: Any = client.memory_usage(key, samples=0)
    if used is None:
        return 0
    if used > _MOST_BYTES:
        groups: Any = client.xinfo_groups(key)
        return max((_ms(group["last-delivered-id"]) for group in groups), default=0)
    info: Any = client.xinfo_stream(key)
    return _ms(info["last-generated-id"])


def _ms(entry: bytes) -> int:
    return int(entry.partition(b"-")[0])
