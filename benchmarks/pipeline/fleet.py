"""Cameras of one benchmark round, as Redis sees them, and what became of their frames."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from msgspec import json
from msgspec.structs import asdict

from benchmarks.pipeline.packets import Packets
from benchmarks.pipeline.schedule import Arrival
from narrows.contract.errors import ServiceError
from narrows.contract.wire.keys import ShardKeys, StreamKeys
from narrows.contract.wire.mask import MaskPacket
from narrows.contract.wire.outcome import MASK
from narrows.contract.wire.streams import Policy, StreamSettings
from narrows.runtime.redis.store import Reply, pairs
from orchestrator.dispatch import Store

_PIPELINE = 200
_SETTLE_S = 1.5  # a new stream is found within 0.25 s, its settings are read within 1 s
_SETTLE_EACH_S = 0.001
_ASKS_SELDOM = 9
_GIVE_UP_S = 120.0
SHARDS = 4
COMPLETE = StreamSettings(policy=Policy.COMPLETE)


@dataclass
class Fleet:
    """Some streams under a common prefix, in one epoch."""

    store: Store
    packets: Packets
    keys: Sequence[StreamKeys]
    epoch: int = 1

    @classmethod
    async def register(
        cls,
        store: Store,
        packets: Packets,
        prefix: str,
        count: int,
        settings: Callable[[int], StreamSettings] = lambda _: COMPLETE,
        shards: int = SHARDS,
    ) -> Fleet:
        """Make ``count`` streams known, with their settings, and wait until the dispatcher reads them."""
        keys = [StreamKeys.of(f"{prefix}-{i}", shards) for i in range(count)]
        records = [
            ("HSET", ShardKeys(k.shard).streams, k.stream, settings_record(settings(i))) for i, k in enumerate(keys)
        ]
        groups = [("XGROUP", "CREATE", k.features, "narrows", "0", "MKSTREAM") for k in keys]
        for commands in (records, groups):
            for first in range(0, len(commands), _PIPELINE):
                await store.many(commands[first : first + _PIPELINE])
        await asyncio.sleep(_SETTLE_S + count * _SETTLE_EACH_S)
        return cls(store, packets, keys)

    async def preload(self, frames: int) -> float:
        """Put ``frames`` frames into the streams in turn, at once; answers the wall clock when it began."""
        bodies = [self.packets.body(self.epoch, *divmod(i, len(self.keys))) for i in range(frames)]
        began_s = time.time()
        for first in range(0, frames, _PIPELINE):
            part = range(first, min(first + _PIPELINE, frames))
            await self.store.many([("XADD", self.keys[i % len(self.keys)].features, "*", "p", bodies[i]) for i in part])
        return began_s

    async def play(self, arrivals: Sequence[Arrival]) -> float:
        """Send frames when they are due, whatever became of those before; answers the wall clock of the start."""
        bodies = [self.packets.body(self.epoch, a.sequence, a.stream) for a in arrivals]
        began_s = time.time() + 0.05
        offset_s = time.monotonic() - time.time()
        sent = 0
        while sent < len(arrivals):
            now_s = time.monotonic() - offset_s - began_s
            due = sent
            while due < len(arrivals) and arrivals[due].at_s <= now_s:
                due += 1
            part = range(sent, due)
            await self.store.many([("XADD", self.keys[arrivals[i].stream].features, "*", "p", bodies[i]) for i in part])
            sent = due
            if not part:
                await asyncio.sleep(arrivals[sent].at_s - now_s)
        return began_s

    async def drained(self) -> None:
        """Wait until every frame has ended, and none is sent any more.

        Streams that were empty are not asked again, nor the others often: what the asking takes counts as Redis' time.

        Raises:
            ServiceError: none ends any more.
        """
        left, give_up_s, waiting = math.inf, 0.0, list(self.keys)
        while True:
            begun_s = time.monotonic()
            lengths = await self._each(waiting, "XLEN", lambda k: k.features)
            waiting = [keys for keys, length in zip(waiting, lengths, strict=True) if length]
            frames = sum(lengths)
            if not frames:
                return
            if frames < left:
                left, give_up_s = frames, time.monotonic() + _GIVE_UP_S
            if time.monotonic() > give_up_s:
                raise ServiceError("frames do not end; is the dispatcher alive?")
            await asyncio.sleep(max(0.1, _ASKS_SELDOM * (time.monotonic() - begun_s)))

    async def take_masks(self) -> dict[tuple[int, int], float]:
        """When each frame's mask was published, wall clock seconds, by stream and sequence; forgets them in Redis."""
        ended: dict[tuple[int, int], float] = {}
        for stream, keys in enumerate(self.keys):
            for entry, fields in await self.store.call("XRANGE", keys.outcomes, "-", "+"):
                outcome = pairs(fields)
                if outcome[b"k"] == MASK:
                    sequence = MaskPacket.parse(outcome[b"p"]).identity.sequence
                    ended[stream, sequence] = (int(entry.partition(b"-")[0]) + 0.5) / 1000  # ids are cut to whole ms
        await self._all("DEL", lambda k: k.outcomes)
        return ended

    async def mask_counts(self) -> list[int]:
        """Masks of each stream so far, from the ledgers."""
        return [int(n or 0) for n in await self._all("HGET", lambda k: k.ledger, "mask")]

    async def discard(self) -> None:
        """Throw away what waits and wait until nothing of these streams is under way; the streams are used no more."""
        await self._all("XTRIM", lambda k: k.features, "MAXLEN", "0")
        await asyncio.sleep(_SETTLE_S)
        await self._all("DEL", lambda k: k.outcomes)
        await self._all("DEL", lambda k: k.features)

    async def _all(self, command: str, key: Callable[[StreamKeys], str], *rest: str) -> list[Reply]:
        return await self._each(self.keys, command, key, *rest)

    async def _each(
        self, streams: Sequence[StreamKeys], command: str, key: Callable[[StreamKeys], str], *rest: str
    ) -> list[Reply]:
        replies: list[Reply] = []
        for first in range(0, len(streams), _PIPELINE):
            part = streams[first : first + _PIPELINE]
            replies += await self.store.many([(command, key(k), *rest) for k in part])
        return replies


def settings_record(settings: StreamSettings) -> bytes:
    """Only what is no default: a dispatcher of an earlier commit refuses settings that it does not know."""
    default = asdict(StreamSettings())
    return json.encode({name: value for name, value in asdict(settings).items() if value != default[name]})
