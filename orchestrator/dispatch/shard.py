"""One owned shard: its streams are found, what others left of them is claimed, and what is new is read.

::

                  ┌─ all of them, in a read that waits ─────┐
    streams ──────┼─ those that are written, without waiting ┼─► entries ─ hold, in order ─► one task takes them up
                  └─ isolated ones, trimmed first, alone ────┘

What an earlier owner left of a stream comes before what is new in it.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from typing import Any

import structlog

from narrows.contract.wire.keys import GROUP, ShardKeys, StreamKeys
from narrows.runtime.cancelling import cancel_all
from narrows.runtime.redis.replies import Remedy
from narrows.runtime.redis.server_clock import ServerClock
from narrows.runtime.redis.store import RawEntry, ReplyRefused, ReplyTooLarge, Store
from orchestrator.dispatch.admission import MOST_ENTRY_BYTES, beyond_a_packet
from orchestrator.dispatch.arrivals import Arrivals
from orchestrator.dispatch.claims import Claims
from orchestrator.dispatch.control_records import MAX_TTL_MS
from orchestrator.dispatch.entry_reader import Brought, EntryReader
from orchestrator.dispatch.gathering import GATHER_S, gathers, worth_a_read
from orchestrator.dispatch.isolation import Isolation
from orchestrator.dispatch.lease import Lease
from orchestrator.dispatch.ready_streams import ReadyStreams
from orchestrator.dispatch.reference_cache import ReferenceCache
from orchestrator.dispatch.reference_memory import ReferenceMemory
from orchestrator.dispatch.settings import DispatchSettings
from orchestrator.dispatch.silence import silences_s
from orchestrator.dispatch.stream import Frame, Stream, UnderWay
from orchestrator.dispatch.stream_settings import read_settings
from orchestrator.dispatch.trim import Trimmer
from orchestrator.shards.entry_id import entry_order
from orchestrator.telemetry.metrics import Metrics

_log = structlog.get_logger(__name__)
_BLOCK_MS, _BLOCK_WHILE_FULL_MS, _PAUSE_S, _ISOLATED_PAUSE_S = 100, 10, 0.005, 0.02
_RECOVER_AT_ONCE = _READ_AT_ONCE = 256


def _nothing() -> None:
    """For who looks for new streams by itself."""


class Shard:
    """The streams of a shard, as long as its lease is ours."""

    def __init__(
        self,
        lease: Lease,
        store: Store,
        consumer: str,
        take_up: Callable[[list[Stream]], Coroutine[Any, Any, None]],
        clock: ServerClock,
        metrics: Metrics,
        settings: DispatchSettings,
        references: ReferenceMemory,
        found: Callable[[], None] = _nothing,
    ) -> None:
        """``found`` is told that a key was written which is no stream here yet."""
        self.lease = lease
        self.keys = ShardKeys(lease.shard)
        self.streams: dict[str, Stream] = {}
        self.draining = False
        self.stream_bytes = settings.stream_bytes
        self._store, self._consumer, self._take_up = store, consumer, take_up
        self._clock, self._settings, self._references = clock, settings, references
        self._under_way = UnderWay()
        self._arrivals = Arrivals(store, clock)
        self._claims = Claims(store, consumer, metrics, settings)
        self._reader = EntryReader(store, consumer, settings)
        self._ready = ReadyStreams(self.keys.features, self.streams, found)
        self._isolation = Isolation(settings.isolated_s)
        self._being_read: Sequence[Stream] = ()
        self._adopted = asyncio.Event()
        self._trimmer = Trimmer(store, consumer, metrics, settings)
        self._looked_s = self._looked_ms = -math.inf

    @property
    def isolated(self) -> int:
        """Streams that are read apart from the others."""
        return len(self._isolation)

    @property
    def held(self) -> int:
        """Frames of the shard in this process."""
        return self._under_way.frames

    @property
    def followed(self) -> bool:
        """Whether Redis says which of its streams are written."""
        return self._ready.followed

    async def adopt(self, found: Iterable[str], looked_s: float = -math.inf) -> None:
        """Take up streams that are new, drop those whose key is gone; ``looked_s``: when the look for them began."""
        names = set(found)
        for name in [name for name, stream in self.streams.items() if name not in names and not stream.held]:
            del self.streams[name]
        if new := [StreamKeys(name, self.lease.shard) for name in sorted(names - self.streams.keys())]:
            records = await self._settings_records()
            readable = await self._make_groups(new)
            # a record that was written before the clock was set back would outlive who wrote it by as much
            await self._store.many([("PEXPIRE", keys.control, MAX_TTL_MS, "XX", "LT") for keys in readable])
            silent_s = await silences_s(self._store, readable, self._clock.now_ms())
            await self._arrivals.learn_from_outcomes(readable)
            for keys, since_s in zip(readable, silent_s, strict=True):
                self._add(keys, records.get(keys.stream.encode()), time.monotonic() - since_s)
        # what is there and cannot be read yet (Redis is full, or a replica) waits, with ids from before this look
        since_s = looked_s if names <= self.streams.keys() else -math.inf
        self._looked_s, self._looked_ms = since_s, self._clock.at_ms(since_s)

    def begin_anew(self) -> None:
        """Reading was broken off, so what was delivered meanwhile must be claimed."""
        for stream in self.streams.values():
            stream.recover_idle_ms = 0
        self._ready.add_all()

    def doubt(self) -> None:
        """Redis was away, and may have lost what was known of it."""
        self._looked_s = self._looked_ms = -math.inf
        for stream in self.streams.values():
            stream.doubt()

    async def _settings_records(self) -> dict[bytes, bytes]:
        """What operators set; nothing where that key is amiss, which the sweep says: streams are read all the same."""
        try:
            return await self._store.hash_of(self.keys.streams)
        except ReplyRefused as refused:
            if refused.remedy is not Remedy.NONE:
                raise
            return {}

    async def read(self) -> None:
        """Read for as long as the lease is ours: first what others left, then what is new.

        Raises:
            ServiceError: Redis is away, or refuses.
        """
        while not (self.lease.lost or self.draining):
            if not self.lease.good(time.monotonic() + _BLOCK_MS / 1000):
                await asyncio.sleep(_PAUSE_S)
                continue
            brought = await (self._read_ready() if self._ready.followed else self._read_any())
            if gathers(brought, self.held, self._settings.read_count):
                await asyncio.sleep(GATHER_S)

    async def follow(self, refused: Callable[[ReplyRefused], None]) -> None:
        """Have Redis say which streams are written, for ever, while there are many; ``refused``: where it does not."""
        most = self._settings.waited_streams
        await self._ready.follow(self._store, lambda: len(self.streams) > most and not self.draining, refused)

    async def _read_any(self) -> int:
        """Wait for entries in a read of all streams, and say how many came."""
        if not self.streams:  # looked at 200 times a second, a thousand shards of nobody's would take a whole core
            self._adopted.clear()
            await self._adopted.wait()
        together = [stream for stream in self.streams.values() if stream not in self._isolation]
        settled = await self._settled(together)
        if not settled:
            await asyncio.sleep(_PAUSE_S)
            return 0
        block_ms = _BLOCK_MS if len(settled) == len(together) else _BLOCK_WHILE_FULL_MS
        return await self._read_new(settled, block_ms)

    async def _read_ready(self) -> int:
        """Read those that may have entries, once there are some, and say how many came."""
        await self._ready.wait(_BLOCK_MS / 1000)
        together = [stream for stream in self._ready.take(_READ_AT_ONCE) if stream not in self._isolation]
        if not together:
            return 0
        settled = await self._settled(together)
        if not settled:
            await (asyncio.sleep(_PAUSE_S) if len(self._ready) else self._ready.wait(_PAUSE_S))
        read = set(settled)
        self._ready.add(*(stream for stream in together if stream not in read))
        return await self._read_new(settled, None) if settled else 0

    async def _settled(self, together: list[Stream]) -> list[Stream]:
        """Those of them that are worth a read now, once what others left of them is claimed."""
        roomy = [stream for stream in together if self._has_room(stream)]
        unsettled = [stream for stream in roomy if stream.recover_idle_ms is not None]
        if unsettled:
            await self._recover(unsettled[:_RECOVER_AT_ONCE])
        settled = [stream for stream in roomy if stream.recover_idle_ms is None]
        worth = worth_a_read([len(stream.held) for stream in settled], len(together), self._settings.room)
        return settled if worth else []

    async def read_isolated(self) -> None:
        """Trim and read the streams that sent too much, one by one: what they cost, their neighbours do not wait for.

        Raises:
            ServiceError: Redis is away, or refuses.
        """
        while not (self.lease.lost or self.draining):
            isolated = await self._isolation.streams()
            if self.lease.good(time.monotonic()):
                for stream in isolated:
                    await self._read_alone(stream)
            await asyncio.sleep(_ISOLATED_PAUSE_S)

    def isolate(self, stream: Stream) -> None:
        """Read a stream apart from its neighbours from now on, for a while: longer each time."""
        self._isolation.begin(stream)

    async def drain(self, most_s: float) -> None:
        """Take in nothing more; wait for what is held, then return the rest untouched."""
        self.draining = True
        with suppress(TimeoutError):
            async with asyncio.timeout(most_s):
                while self.held or self._under_way.tasks:  # noqa: ASYNC110 - for an event, each frame would have to set it
                    await asyncio.sleep(_PAUSE_S)
        left = [frame for stream in self.streams.values() for frame in stream.held.values()]
        await self.abandon()
        for frame in left:
            await self._give_back(frame)

    async def abandon(self) -> None:
        """Drop everything that is held, at once."""
        self.draining = True
        for stream in self.streams.values():
            stream.let_all_go()
        await cancel_all(self._under_way.tasks)

    async def _read_new(self, streams: Sequence[Stream], block_ms: int | None) -> int:
        """Read these together, and say how many entries came; who brought too much shows as entries are claimed."""
        self._being_read = streams
        try:
            return await self._take_in_new(streams, self._reader.together(streams, block_ms))
        finally:
            self._being_read = ()

    async def _take_in_new(self, streams: Sequence[Stream], reading: Awaitable[Brought]) -> int:
        """Take in what a read of some streams brings, and say how many entries came."""
        try:
            brought = await reading
        except ReplyRefused as refused:
            await self._heal(refused)
            return 0
        except ReplyTooLarge:  # it was delivered all the same: it is claimed entry by entry from now on
            for stream in streams:
                stream.recover_idle_ms = 0
            self._ready.add(*streams)
            return 0
        await self._arrivals.look_where_odd(brought.entries)
        for stream, entries in brought.entries:
            if entry_order(entries[0].id) <= stream.read_to:
                stream.doubt()  # it was given out before: Redis lost its last second, or was restored
        if brought.entries:
            self._take_in(brought.entries, 1)
        self._ready.add(*brought.behind)
        for stream in streams:
            if stream not in brought.behind:
                self._arrivals.read_to_end(stream, brought.begun_s)
        return len(brought)

    async def _read_alone(self, stream: Stream) -> None:
        if stream in self._being_read:  # from before it was isolated; what this brings is not known yet
            return
        if self.streams.get(stream.id) is not stream or self._isolation.over(stream):
            self._isolation.end(stream)
            self._ready.add(stream)
            return
        try:
            if await self._trimmer.trim(stream, self.stream_bytes):
                self.isolate(stream)
        except ReplyRefused as refused:
            if refused.remedy is not Remedy.NONE:
                raise
            stream.rest(time.monotonic() + self._settings.rest_s)
            _log.warning("stream_trim_failed", stream=stream.id, error=str(refused))
        if not self._has_room(stream):
            return
        if stream.recover_idle_ms is not None:
            await self._recover([stream])
        else:
            await self._take_in_new([stream], self._reader.alone(stream, MOST_ENTRY_BYTES))

    async def _recover(self, streams: Sequence[Stream]) -> None:
        """Claim what was delivered and never ended, in order; once nothing is left of it, new entries are read."""
        left = await self._claims.left_of(streams)
        for refused in [each.refused for each in left if each.refused is not None]:
            await self._heal(refused)
        readable = [each for each in left if each.refused is None]
        sizes = await self._store.sizes_bytes([each.stream.keys.features for each in readable])
        for each, size in zip(readable, sizes, strict=True):
            if size > self.stream_bytes and each.stream not in self._isolation:
                self.isolate(each.stream)  # there it is trimmed first: a server may cut a connection over a large reply
                continue
            async for entry, deliveries in self._claims.claim(each):
                self._take_in([(each.stream, [entry])], deliveries)

    def _has_room(self, stream: Stream) -> bool:
        rested = time.monotonic() >= stream.rests_until_s
        return rested and self._settings.room - len(stream.held) >= self._settings.read_count

    def _take_in(self, found: Sequence[tuple[Stream, list[RawEntry]]], deliveries: int) -> None:
        """Hold entries that were read, each stream's in their order, and have them taken up."""
        for stream, entries in found:
            for entry in entries:
                self._hold(stream, entry, deliveries)
        self._under_way.begin(self._take_up([stream for stream, _ in found]))

    def _hold(self, stream: Stream, entry: RawEntry, deliveries: int) -> None:
        taken = self._arrivals.taken(stream, entry, deliveries)
        if taken.forged is None:
            stream.active_s, stream.read_to = taken.read_s, max(stream.read_to, entry_order(entry.id))
        if entry.too_large or beyond_a_packet(entry):
            self.isolate(stream)
        stream.take_in(entry, deliveries, taken)

    async def _make_groups(self, keys: list[StreamKeys]) -> list[StreamKeys]:
        """Make the groups where they are missing; answers the streams that can be read, and drops the others."""
        replies = await self._store.many([("XGROUP", "CREATE", each.features, GROUP, "0") for each in keys])
        readable = []
        for each, reply in zip(keys, replies, strict=True):
            if isinstance(reply, ReplyRefused) and reply.code != "BUSYGROUP":
                self.streams.pop(each.stream, None)
                self._looked_s = self._looked_ms = -math.inf
                _log.warning("stream_read_failed", stream=each.stream, error=str(reply))
            else:
                readable.append(each)
        return readable

    def _add(self, keys: StreamKeys, record: bytes | None, active_s: float) -> None:
        default = self._settings.unregistered
        settings = read_settings(keys.stream, record, default, default)
        references = ReferenceCache(self._settings.cached_references, self._references)
        self.streams[keys.stream] = Stream(
            keys,
            self.lease,
            references,
            settings,
            active_s=active_s,
            drained_s=self._looked_s,  # it was not there yet, so nothing was to be read
            drained_ms=self._looked_ms,
            under_way=self._under_way,
        )
        self._ready.add(self.streams[keys.stream])
        self._adopted.set()

    def see_lengths(self, lengths: Iterable[tuple[Stream, int]], seen_s: float) -> None:
        """What streams held, at ``seen_s`` or later: one that holds more than is here was written, said or not."""
        for stream, length in lengths:
            if length > len(stream.held):
                self._ready.add(stream)
            elif not length and seen_s > stream.drained_s:
                self._arrivals.read_to_end(stream, seen_s)

    async def _heal(self, refused: ReplyRefused) -> None:
        """A group or key vanished: make groups anew, at the beginning; neighbours are read on."""
        if refused.code not in ("NOGROUP", "WRONGTYPE", "UNBLOCKED"):
            raise refused
        _log.warning("consumer_groups_recreated", shard=self.lease.shard, error=str(refused))
        await self._make_groups([stream.keys for stream in self.streams.values()])
        self._ready.add_all()

    async def _give_back(self, frame: Frame) -> None:
        """What had no chance here shall not count as a delivery."""
        key, before = frame.stream.keys.features, frame.deliveries - 1
        await self._store.set_deliveries(key, GROUP, self._consumer, frame.entry.id, before)
