"""How each stream stands: its settings, what waits, how its frames ended, when it was last heard of."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import redis

from narrows.client.registry.camera_masks import FleetCameraMasks, read_camera_masks
from narrows.client.registry.registry import StreamRegistry
from narrows.contract.errors import RecordError, StreamIdInvalid
from narrows.contract.wire import ShardKeys, StreamKeys, StreamSettings
from narrows.contract.wire.keys import KIND_FIELD, check_stream_id
from narrows.contract.wire.outcome import MASK

_MOST_BYTES = 4 << 20
_LONG_MS = 30_000
_NEWEST_OUTCOMES = 8


@dataclass(frozen=True, slots=True)
class StreamOverview:
    """One stream.

    Attributes:
        backlog: frames that have not ended.
        seen_ms: when it was last heard of, the server's clock; 0 for never.
        mask_ms: when its last mask was written, the same clock; 0: none is among its newest outcomes.
        state: ``new`` (never heard of), ``silent`` (for half a minute), ``no_masks`` (it sends, and got no mask for as
            long), else ``live``.
        sends: what its latest frames were (``features``, ``masks`` or ``audited``); empty where it sends none now.
        asked_for_masks: the cloud asks its camera for masks.
        unreadable: why what is stored of its settings cannot be read; ``settings`` are the defaults then.
    """

    stream: str
    settings: StreamSettings
    registered: bool
    backlog: int
    ledger: dict[str, int]
    seen_ms: int
    mask_ms: int = 0
    state: str = "new"
    sends: str = ""
    asked_for_masks: bool = False
    unreadable: str = ""


def overviews(registry: StreamRegistry, only: Collection[str] | None = None) -> list[StreamOverview]:
    """The streams named, or by name all that are registered or have a ledger, as far as a stream may be called so."""
    registered = registry.registered()
    names = sorted(_valid(registered) | set(_with_ledger(registry)) if only is None else only)
    seconds, micros = registry.client.time()
    now_ms = seconds * 1000 + micros // 1000
    masks = read_camera_masks(registry.client)
    return [_overview(registry, name, registered.get(name), now_ms, masks) for name in names]


def _with_ledger(registry: StreamRegistry) -> Iterator[str]:
    for shard in range(registry.install.shards):
        prefix = f"{ShardKeys(shard).prefix}:ledger:"
        for key in registry.client.scan_iter(match=f"{prefix}*", count=1000):
            with suppress(StreamIdInvalid):
                yield check_stream_id(key.decode("utf-8", "replace").removeprefix(prefix))


def _valid(streams: Iterable[str]) -> set[str]:
    found = set()
    for stream in streams:
        with suppress(StreamIdInvalid):
            found.add(check_stream_id(stream))
    return found


def _overview(
    registry: StreamRegistry,
    stream: str,
    stored: StreamSettings | RecordError | None,
    now_ms: int,
    masks: FleetCameraMasks,
) -> StreamOverview:
    keys = StreamKeys.of(stream, registry.install.shards)
    client = registry.client
    backlog: Any = client.xlen(keys.features)
    ledger: Any = client.hgetall(keys.ledger)
    seen_ms = max(last_entry_ms(client, keys.features), last_entry_ms(client, keys.outcomes))
    mask_ms = _last_mask_ms(client, keys.outcomes)
    state = state_of(now_ms, seen_ms, mask_ms)
    return StreamOverview(
        stream=stream,
        settings=stored if isinstance(stored, StreamSettings) else StreamSettings(),
        registered=stored is not None,
        backlog=int(backlog),
        ledger={name.decode("utf-8", "replace"): int(count) for name, count in ledger.items() if count.isdigit()},
        seen_ms=seen_ms,
        mask_ms=mask_ms,
        state=state,
        sends="" if state in {"new", "silent"} else masks.sent(stream) or "",
        asked_for_masks=stream in masks.asked,
        unreadable=str(stored) if isinstance(stored, RecordError) else "",
    )


def state_of(now_ms: int, seen_ms: int, mask_ms: int) -> str:
    """How a stream stands, by when it was heard of and got a mask (the server's clock); see :class:`StreamOverview`."""
    if seen_ms == 0:
        return "new"
    if now_ms - seen_ms > _LONG_MS:
        return "silent"
    return "no_masks" if now_ms - mask_ms > _LONG_MS else "live"


def _last_mask_ms(client: redis.Redis, key: str) -> int:
    entries: Any = client.xrevrange(key, count=_NEWEST_OUTCOMES)
    return next((_ms(entry) for entry, fields in entries if fields.get(KIND_FIELD) == MASK), 0)


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
