"""What earlier owners of a shard took up and never ended is claimed, in order, before anything new is read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from narrows.contract.wire.keys import GROUP
from narrows.runtime.redis.store import Pending, RawEntry, ReplyRefused, ReplyTooLarge, Store
from orchestrator.dispatch.admission import MOST_ENTRY_BYTES
from orchestrator.dispatch.scripts import FORGET_CONSUMERS
from orchestrator.dispatch.settings import DispatchSettings
from orchestrator.dispatch.stream import Stream
from orchestrator.telemetry.metrics import Metrics


@dataclass(frozen=True, slots=True)
class Left:
    """What an earlier owner left of a stream; ``refused``: its keys are amiss."""

    stream: Stream
    pending: Sequence[Pending] = ()
    refused: ReplyRefused | None = None


class Claims:
    """Claims entry by entry, so that how often each was delivered is known, and none is larger than may be read."""

    def __init__(self, store: Store, consumer: str, metrics: Metrics, settings: DispatchSettings) -> None:
        self._store, self._consumer, self._metrics, self._settings = store, consumer, metrics, settings

    async def left_of(self, streams: Sequence[Stream]) -> list[Left]:
        """What was delivered and never ended of each that has any, as much as there is room for.

        Of the others nothing is to be claimed any more, and consumers that are gone are forgotten.

        Raises:
            ServiceError: Redis is away, or refuses.
        """
        room, keys = self._settings.room, [stream.keys.features for stream in streams]
        idle_ms = [stream.recover_idle_ms or 0 for stream in streams]
        found = await self._store.pending(keys, GROUP, idle_ms=idle_ms, count=2 * room)
        left, settled = list[Left](), list[str]()
        for stream, pending in zip(streams, found, strict=True):
            if isinstance(pending, ReplyRefused):
                left.append(Left(stream, refused=pending))
            elif entries := [entry for entry in pending if entry.id not in stream.held]:
                left.append(Left(stream, entries[: room - len(stream.held)]))
            else:
                stream.recover_idle_ms = None
                settled.append(stream.keys.features)
        own = (GROUP, self._consumer, self._settings.forget_idle_ms)
        await self._store.run_many([(FORGET_CONSUMERS, [key], own) for key in settled])
        return left

    async def claim(self, left: Left) -> AsyncIterator[tuple[RawEntry, int]]:
        """Each entry that is still there, once it is ours, and how often it was delivered by now.

        Raises:
            ServiceError: Redis is away, or refuses.
        """
        key = left.stream.keys.features
        for entry in left.pending:
            try:
                claimed = await self._store.claim(
                    key, GROUP, self._consumer, entry.id, deliveries=entry.deliveries, most_bytes=MOST_ENTRY_BYTES
                )
            except ReplyTooLarge:
                claimed = [RawEntry(entry.id, None, too_large=True)]
            self._metrics.claimed.inc(len(claimed))
            for each in claimed:
                yield each, entry.deliveries + 1
