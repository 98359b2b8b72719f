"""The same frames at every contender: all at once, or when they are due; when each mask was there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from benchmarks.pipeline.packets import Packets
from benchmarks.pipeline.schedule import Arrival
from narrows.contract.wire.mask import MaskPacket
from narrows.runtime.redis.store import Store, pairs

Ends = dict[int, list[float]]
"""When masks of a frame were there, wall clock seconds, by the frame's number."""
_POLL_S = 0.02
_IDLE_S = 15.0  # more than a worker's claim of what a dead one left
_CHUNK = 200


class Load(Protocol):
    """How frames reach a contender and masks come back."""

    async def all_at_once(self, frames: int) -> Ends:
        """So many frames, as fast as it takes them."""

    async def when_due(self, arrivals: Sequence[Arrival]) -> tuple[float, Ends]:
        """Each when it is due, whatever became of those before; also answers the wall clock of the start."""


@dataclass
class Requests:
    """One request a frame, answered by its mask."""

    packets: Packets
    ask: Callable[[bytes], Awaitable[bytes]]
    at_once: int
    epoch: int = 1

    async def all_at_once(self, frames: int) -> Ends:
        """With so many requests under way as the contender likes best."""
        self.epoch += 1
        ends: Ends = {}
        left = iter(range(frames))

        async def client() -> None:
            for number in left:
                await self._one(number, ends)

        await asyncio.gather(*(client() for _ in range(self.at_once)))
        return ends

    async def when_due(self, arrivals: Sequence[Arrival]) -> tuple[float, Ends]:
        """A task a frame."""
        self.epoch += 1
        ends: Ends = {}
        began_s = time.time() + 0.05
        tasks = []
        for number, arrival in enumerate(arrivals):
            await asyncio.sleep(max(0.0, began_s + arrival.at_s - time.time()))
            tasks.append(asyncio.create_task(self._one(number, ends)))
        await asyncio.gather(*tasks)
        return began_s, ends

    async def _one(self, number: int, ends: Ends) -> None:
        try:
            mask = await self.ask(self.packets.body(self.epoch, number))
        except (OSError, RuntimeError, TimeoutError):
            return  # this frame is lost: its client was told so
        if _number(mask, self.epoch) == number:
            ends.setdefault(number, []).append(time.time())


@dataclass
class Queue:
    """Frames put into Redis streams in turn, masks read from others.

    Attributes:
        features: the streams that frames go into.
        masks: the streams that masks come out of, one for each of ``features`` or one for all.
        entry_field: the field of a frame's entry.
        mask_of: a mask packet of an entry's fields; None of an entry that holds none.
    """

    packets: Packets
    store: Store
    features: Sequence[str]
    masks: Sequence[str]
    entry_field: str
    mask_of: Callable[[Mapping[bytes, bytes]], bytes | None]
    epoch: int = 1
    _read: dict[str, bytes] = field(default_factory=dict)

    async def all_at_once(self, frames: int) -> Ends:
        """All of them lie in Redis before long."""
        self.epoch += 1
        for first in range(0, frames, _CHUNK):
            await self._put(range(first, min(first + _CHUNK, frames)))
        return await self._ends(frames)

    async def when_due(self, arrivals: Sequence[Arrival]) -> tuple[float, Ends]:
        """Those that are due together in one pipeline."""
        self.epoch += 1
        began_s, sent = time.time() + 0.05, 0
        while sent < len(arrivals):
            due = sent
            while due < len(arrivals) and began_s + arrivals[due].at_s <= time.time():
                due += 1
            await self._put(range(sent, due))
            sent = due
            if sent < len(arrivals):
                await asyncio.sleep(max(0.0, began_s + arrivals[sent].at_s - time.time()))
        return began_s, await self._ends(len(arrivals))

    async def _put(self, numbers: range) -> None:
        streams = len(self.features)
        await self.store.many([
            ("XADD", self.features[n % streams], "*", self.entry_field, self.packets.body(self.epoch, n // streams, n))
            for n in numbers
        ])  # fmt: skip

    async def _ends(self, frames: int) -> Ends:
        """Read masks until all are there, or none has come for long."""
        ends: Ends = {}
        last_s = time.monotonic()
        while len(ends) < frames and time.monotonic() < last_s + _IDLE_S:
            if await self._take(ends):
                last_s = time.monotonic()
            await asyncio.sleep(_POLL_S)
        return ends

    async def _take(self, ends: Ends) -> bool:
        commands = [("XRANGE", key, b"(" + self._read.get(key, b"0-0"), "+", "COUNT", "200") for key in self.masks]
        replies = await self.store.many(commands)
        for stream, (key, entries) in enumerate(zip(self.masks, replies, strict=True)):
            for entry, fields in entries:
                self._read[key] = entry
                mask = self.mask_of(pairs(fields))
                found = None if mask is None else _number(mask, self.epoch)
                if found is not None:
                    number = found * len(self.features) + stream
                    ends.setdefault(number, []).append((int(entry.partition(b"-")[0]) + 0.5) / 1000)
        return any(replies)


def _number(mask: bytes, epoch: int) -> int | None:
    """The sequence of a mask of this epoch."""
    identity = MaskPacket.parse(mask).identity
    return identity.sequence if identity.epoch == epoch else None
