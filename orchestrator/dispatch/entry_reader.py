"""New entries of several streams, in one command that is packed once as long as the streams are the same."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from narrows.contract.wire.keys import GROUP
from narrows.runtime.redis.store import PackedRead, RawEntry, Store, pack_read
from orchestrator.dispatch.settings import DispatchSettings
from orchestrator.dispatch.stream import Stream


@dataclass(frozen=True, slots=True)
class Brought:
    """What a read brought: new entries by stream, of those that had any.

    Attributes:
        begun_s: when it began, monotonic.
        behind: of these streams one read brought as much as it may, so that there may be more.
    """

    begun_s: float
    entries: list[tuple[Stream, list[RawEntry]]]
    behind: set[Stream]

    def __len__(self) -> int:
        """How many entries came."""
        return sum(len(entries) for _, entries in self.entries)


@dataclass(frozen=True, slots=True)
class _Read:
    """A command that reads streams: with a thousand keys, packing it costs more than all else of a call."""

    streams: Sequence[Stream]
    block_ms: int | None
    packed: PackedRead
    by_key: Mapping[bytes, Stream]


class EntryReader:
    """Reads as a consumer of its group."""

    def __init__(self, store: Store, consumer: str, settings: DispatchSettings) -> None:
        self._store, self._consumer, self._settings = store, consumer, settings
        self._read = _Read((), None, PackedRead(b"", ""), {})

    async def together(self, streams: Sequence[Stream], block_ms: int | None) -> Brought:
        """What is new in any of these; waits for it up to ``block_ms``, if at all.

        Raises:
            ReplyTooLarge: it is more than may be read; all of it is delivered, that is pending, all the same.
            ServiceError: Redis is away, or refuses.
        """
        if streams != self._read.streams or block_ms != self._read.block_ms:
            self._read = self._pack(streams, block_ms)
        return await self._brought(self._read, self._settings.read_bytes)

    async def alone(self, stream: Stream, most_bytes: int) -> Brought:
        """What is new in one stream, beside the reads of the others.

        Raises:
            ReplyTooLarge, ServiceError: as :meth:`together`.
        """
        return await self._brought(self._pack([stream], 1), most_bytes)

    async def _brought(self, read: _Read, most_bytes: int) -> Brought:
        begun_s, most = time.monotonic(), self._settings.read_count
        found = await self._store.read_new(read.packed, most_bytes)
        brought = [(read.by_key[key], entries) for key, entries in found.items() if entries]
        return Brought(begun_s, brought, {stream for stream, entries in brought if len(entries) >= most})

    def _pack(self, streams: Sequence[Stream], block_ms: int | None) -> _Read:
        keys, count = [stream.keys.features for stream in streams], self._settings.read_count
        packed = pack_read(GROUP, self._consumer, keys, count=count, block_ms=block_ms)
        return _Read(streams, block_ms, packed, {stream.keys.features.encode(): stream for stream in streams})
