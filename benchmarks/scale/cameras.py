"""Cameras that come and go: pre-encoded packets at a steady rate, and when each frame's mask was there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from benchmarks.pipeline.packets import Packets
from benchmarks.scale.parts import SHARDS
from narrows.contract.errors import ServiceError
from narrows.contract.wire.keys import ShardKeys, StreamKeys
from narrows.contract.wire.mask import MaskPacket
from narrows.contract.wire.outcome import MASK
from narrows.contract.wire.streams import Policy, StreamSettings
from narrows.runtime.redis.store import pairs
from orchestrator.dispatch import Store

_SETTLE_S = 1.5  # a new stream is found within 0.25 s, its settings are read within 1 s
_READ_S = 0.5
_GIVE_UP_S = 120.0
_COMPLETE = StreamSettings(policy=Policy.COMPLETE)


@dataclass
class Cameras:
    """Streams of one scenario; ``active`` of them send.

    Attributes:
        active: how many cameras send now; may be changed at any time.
        sent: frames sent, of all cameras.
        latencies: when a mask came (monotonic seconds) and how long after its frame's entry (Redis' clock, seconds).
    """

    store: Store
    packets: Packets
    keys: Sequence[StreamKeys]
    frames_per_s: float
    active: int = 0
    sent: int = 0
    latencies: list[tuple[float, float]] = field(default_factory=list)
    _sequences: list[int] = field(default_factory=list)
    _entered_ms: dict[tuple[int, int], int] = field(default_factory=dict)
    _read_to: list[bytes] = field(default_factory=list)

    @classmethod
    async def register(cls, store: Store, packets: Packets, prefix: str, count: int, frames_per_s: float) -> Cameras:
        """Make streams known that want every frame, and wait until the dispatcher reads their settings."""
        keys = [StreamKeys.of(f"{prefix}-{i}", SHARDS) for i in range(count)]
        await store.many([("HSET", ShardKeys(k.shard).streams, k.stream, _COMPLETE.to_json()) for k in keys])
        await store.many([("XGROUP", "CREATE", k.features, "narrows", "0", "MKSTREAM") for k in keys])
        await asyncio.sleep(_SETTLE_S)
        return cls(store, packets, keys, frames_per_s, _sequences=[0] * count, _read_to=[b"0"] * count)

    async def play(self) -> None:
        """Send for ever, each camera at its rate and at a phase of its own."""
        phases = np.random.default_rng(0).random(len(self.keys))
        due_s = time.monotonic() + phases / self.frames_per_s
        while True:
            now_s = time.monotonic()
            late = np.flatnonzero(due_s <= now_s)
            await self.send([int(i) for i in late if i < self.active])
            due_s[late] += np.ceil((now_s - due_s[late]) * self.frames_per_s + 1e-9) / self.frames_per_s
            await asyncio.sleep(max(0.002, float(due_s.min()) - time.monotonic()))

    async def send(self, streams: Sequence[int]) -> None:
        """One frame of each of these cameras, in one round trip."""
        frames = [(stream, self._sequences[stream]) for stream in streams]
        bodies = [self.packets.body(1, sequence, stream) for stream, sequence in frames]
        for stream in streams:
            self._sequences[stream] += 1
        entries = await self.store.many(
            [("XADD", self.keys[s].features, "*", "p", body) for (s, _), body in zip(frames, bodies, strict=True)]
        )
        for frame, entry in zip(frames, entries, strict=True):
            if isinstance(entry, ServiceError):
                raise entry
            self._entered_ms[frame] = int(entry.partition(b"-")[0])
            self.sent += 1

    async def watch(self) -> None:
        """Read the outcomes for ever."""
        while True:
            await self.read()
            await asyncio.sleep(_READ_S)

    async def read(self) -> None:
        """Read the outcomes since the last time."""
        commands = [("XRANGE", k.outcomes, b"(" + last, "+") for k, last in zip(self.keys, self._read_to, strict=True)]
        now_s = time.monotonic()
        for stream, entries in enumerate(await self.store.many(commands)):
            for entry, fields in entries:
                self._read_to[stream] = entry
                outcome = pairs(fields)
                if outcome[b"k"] == MASK:
                    sequence = MaskPacket.parse(outcome[b"p"]).identity.sequence
                    ended_ms = int(entry.partition(b"-")[0])
                    self.latencies.append((now_s, (ended_ms - self._entered_ms.pop((stream, sequence))) / 1000))

    async def ended(self) -> None:
        """Stop sending and wait until every frame has ended.

        Raises:
            ServiceError: they do not.
        """
        self.active, give_up_s = 0, time.monotonic() + _GIVE_UP_S
        while any(await self.store.many([("XLEN", keys.features) for keys in self.keys])):
            if time.monotonic() > give_up_s:
                raise ServiceError("frames do not end: is the dispatcher alive?")
            await asyncio.sleep(0.2)
        await self.read()

    async def accounts(self) -> dict[str, int]:
        """How all frames ended, from the ledgers of the streams."""
        total: dict[str, int] = {}
        for keys in self.keys:
            for name, count in (await self.store.hash_of(keys.ledger)).items():
                total[name.decode()] = total.get(name.decode(), 0) + int(count)
        return total
