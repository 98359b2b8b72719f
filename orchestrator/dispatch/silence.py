"""Which cameras send and which fell silent: counted by group, for an alert cannot have a series for each camera."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from enum import StrEnum

from narrows.contract.wire.keys import GROUP, StreamKeys
from narrows.runtime.redis.store import Reply, ReplyRefused, Store, pairs
from orchestrator.dispatch.stream import Stream
from orchestrator.shards.entry_id import entry_ms
from orchestrator.telemetry.metrics import Metrics

_GROUP = GROUP.encode()
_SILENT_S, _FORGOTTEN_S = 60.0, 86_400.0
_AT_ONCE = 256


class Sending(StrEnum):
    """The label ``state`` of ``narrows_streams``."""

    LIVE = "live"
    """A frame came within the last minute."""
    SILENT = "silent"
    """Within the last day, but not within the last minute."""


def sending(silent_s: float) -> Sending | None:
    """How a stream stands whose last frame came so long ago; ``None``: it is expected no longer, or never sent."""
    if silent_s < _SILENT_S:
        return Sending.LIVE
    return Sending.SILENT if silent_s < _FORGOTTEN_S else None


def show_streams(metrics: Metrics, streams: Iterable[Stream], now_s: float) -> None:
    """Count the streams by group and state into ``narrows_streams``; ``now_s`` is monotonic."""
    counts = Counter((metrics.group(each.settings.group), sending(now_s - each.active_s)) for each in streams)
    metrics.streams.clear()
    for group in {group for group, _ in counts}:
        for state in Sending:
            metrics.streams.labels(group, state.value).set(counts[group, state])


async def silences_s(store: Store, streams: Sequence[StreamKeys], now_ms: float) -> list[float]:
    """How long ago the last frame came that was read of each stream, by the server's clock; infinite without one.

    What is not yet read will be, at once. ``XINFO STREAM`` would count it too, and answers with two whole entries.

    Raises:
        ServiceError: Redis is away.
    """
    found: list[float] = []
    for first in range(0, len(streams), _AT_ONCE):
        part = streams[first : first + _AT_ONCE]
        replies = await store.many([("XINFO", "GROUPS", each.features) for each in part])
        found += [_silence_s(reply, now_ms) for reply in replies]
    return found


def _silence_s(reply: Reply, now_ms: float) -> float:
    if isinstance(reply, ReplyRefused):  # the key vanished meanwhile
        return math.inf
    groups = [pairs(group) for group in reply]
    last_ms = max((entry_ms(group[b"last-delivered-id"]) for group in groups if group[b"name"] == _GROUP), default=0)
    return max(0.0, (now_ms - last_ms) / 1000) if last_ms else math.inf
