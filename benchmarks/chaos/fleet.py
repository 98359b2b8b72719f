"""Cameras that play pre-encoded packets, each with its own book of what Redis took, and a witness of the ends."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from benchmarks.chaos.parts import SHARDS
from benchmarks.chaos.reel import Reel
from narrows.errors import ServiceError
from narrows.wire import FrameIdentity, MaskPacket, ShardKeys, StreamKeys
from narrows.wire.keys import PACKET_FIELD
from narrows.wire.outcome import outcome_from_json
from orchestrator.dispatch import Store
from orchestrator.dispatch.cancelling import cancel_all
from orchestrator.dispatch.store import pairs

_PAUSE_S = 0.1
_SETTINGS = (b'{"policy": "complete"}', b'{"policy": "realtime", "stale_ms": 2000}')


@dataclass
class Camera:
    """One stream.

    Attributes:
        taken_s: when Redis acknowledged each sequence, on the monotonic clock.
        repeated: sendings whose answer never came, so that the frame was sent again.
        ends: how each sequence ended, as read from the outcomes; more than one is a fault of ours.
        masked_s: when the mask of a sequence was read.
    """

    stream: str
    epoch: int
    taken_s: dict[int, float] = field(default_factory=dict)
    repeated: int = 0
    ends: dict[int, list[str]] = field(default_factory=dict)
    masked_s: dict[int, float] = field(default_factory=dict)

    @property
    def keys(self) -> StreamKeys:
        """Its keys."""
        return StreamKeys.of(self.stream, SHARDS)

    async def play(self, store: Store, reel: Reel, period_s: float, playing: asyncio.Event) -> None:
        """Send a frame each period while ``playing`` is set; one that Redis does not take is sent until it does."""
        sequence, next_s = 0, time.monotonic()
        while playing.is_set():
            body = reel.packet(FrameIdentity(self.epoch, sequence), int(time.time() * 1000))
            while not await self._send(store, body):  # noqa: ASYNC110 - the server is another process
                await asyncio.sleep(_PAUSE_S)
            self.taken_s[sequence] = time.monotonic()
            sequence += 1
            next_s = max(next_s + period_s, time.monotonic())
            await asyncio.sleep(next_s - time.monotonic())

    def read_end(self, kind: bytes, body: bytes) -> None:
        """Note one outcome."""
        identity = MaskPacket.parse(body).identity if kind == b"mask" else outcome_from_json(kind, body).identity
        sequence = identity.sequence if identity is not None and identity.epoch == self.epoch else -1
        self.ends.setdefault(sequence, []).append(kind.decode())
        if kind == b"mask":
            self.masked_s[sequence] = time.monotonic()

    def first_mask_of_frames_since(self, since_s: float) -> float | None:
        """When the first mask was read of a frame that was sent after a moment."""
        return min(
            (self.masked_s[n] for n, s in self.taken_s.items() if s > since_s and n in self.masked_s), default=None
        )

    def kinds(self) -> Counter[str]:
        """The outcomes that were read, by kind."""
        return Counter(kind for kinds in self.ends.values() for kind in kinds)

    async def _send(self, store: Store, body: bytes) -> bool:
        try:
            await store.call("XADD", self.keys.features, "*", PACKET_FIELD, body)
        except ServiceError:
            self.repeated += 1
            return False
        return True


class Fleet:
    """Some cameras under way, every second one ``complete``, the others ``realtime``."""

    def __init__(self, url: str, reel: Reel, prefix: str, cameras: int, frames_per_s: float) -> None:
        self.cameras = [Camera(f"{prefix}-{n}", n + 1) for n in range(cameras)]
        self._url, self._reel, self._period_s = url, reel, 1 / frames_per_s
        self._playing = asyncio.Event()

    @asynccontextmanager
    async def play(self) -> AsyncIterator[Fleet]:
        """Play while the context lasts, or until :meth:`settle`."""
        self._store, self._reader = Store.connect(self._url), Store.connect(self._url)
        for n, camera in enumerate(self.cameras):
            keys = ShardKeys(camera.keys.shard)
            await self._store.call("HSET", keys.streams, camera.stream, _SETTINGS[n % len(_SETTINGS)])
        self._playing.set()
        self._players = [
            asyncio.create_task(each.play(self._store, self._reel, self._period_s, self._playing))
            for each in self.cameras
        ]
        witness = asyncio.create_task(self._witness())
        try:
            yield self
        finally:
            await cancel_all([witness, *self._players])
            await self._store.close()
            await self._reader.close()

    async def back_after(self, since_s: float, most_s: float = 30.0) -> float:
        """Seconds from a moment until every stream had the mask of a frame that was sent after it.

        Raises:
            ServiceError: it took more than ``most_s``.
        """
        while time.monotonic() < since_s + most_s:
            masked = [camera.first_mask_of_frames_since(since_s) for camera in self.cameras]
            if None not in masked:
                return max(each for each in masked if each is not None) - since_s
            await asyncio.sleep(0.02)
        raise ServiceError(
            f"no service {most_s} s after the part was back; streams without it: {self._without(since_s)}"
        )

    async def settle(self, most_s: float = 30.0) -> None:
        """Stop sending, and wait until everything that was sent has ended or the time is over."""
        self._playing.clear()
        await asyncio.gather(*self._players)
        give_up_s = time.monotonic() + most_s
        while self._waits() and time.monotonic() < give_up_s:  # noqa: ASYNC110
            await asyncio.sleep(0.05)

    async def ledger(self, camera: Camera) -> dict[str, int]:
        """The stream's ledger in Redis."""
        fields = pairs(await self._store.call("HGETALL", camera.keys.ledger))
        return {name.decode(): int(count) for name, count in fields.items()}

    async def left(self, camera: Camera) -> int:
        """Entries of the stream that have no end."""
        return int(await self._store.call("XLEN", camera.keys.features))

    async def _witness(self) -> None:
        after = {camera.keys.outcomes.encode(): b"0" for camera in self.cameras}
        by_key = {camera.keys.outcomes.encode(): camera for camera in self.cameras}
        while True:
            try:
                ask: tuple[bytes | str | int, ...] = ("XREAD", "COUNT", 200, "BLOCK", 200, "STREAMS")
                reply = await self._reader.call(*ask, *after, *after.values())
            except ServiceError:
                await asyncio.sleep(_PAUSE_S)
                continue
            for key, entries in reply or []:
                for entry, fields in entries:
                    named = pairs(fields)
                    by_key[key].read_end(named[b"k"], named[b"p"])
                    after[key] = entry

    def _waits(self) -> bool:
        return any(len(camera.ends) < len(camera.taken_s) for camera in self.cameras)

    def _without(self, since_s: float) -> Sequence[str]:
        return [c.stream for c in self.cameras if c.first_mask_of_frames_since(since_s) is None]
