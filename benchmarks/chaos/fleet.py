"""Cameras that play pre-encoded packets, each with its own book of what Redis took, and a witness of the ends."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from benchmarks.chaos.parts import SHARDS
from benchmarks.chaos.reel import CHAIN, Reel
from narrows.contract.errors import ServiceError
from narrows.contract.wire import Control, FrameIdentity, MaskPacket, Refusal, ShardKeys, StreamKeys
from narrows.contract.wire.keys import GROUP, PACKET_FIELD
from narrows.contract.wire.outcome import outcome_from_json
from narrows.runtime.cancelling import cancel_all
from narrows.runtime.redis.store import pairs
from orchestrator.dispatch import Store

_PAUSE_S, _LOOK_S = 0.1, 0.02
_MOST_OUTCOMES = 50
_MOST_OPEN = 32
_MASKS_OF_OTHERS = 300
"""Masks for each camera of the fleet: 75 s and more at four frames a second, longer where the machine is slower."""
_STANDSTILL_S = 120.0
"""Twice what the longest restart here took on two cores with eight others at work."""


@dataclass
class Camera:
    """One stream.

    Attributes:
        complete: its policy; else ``realtime``.
        taken_s: when Redis acknowledged each sequence, on the monotonic clock.
        repeated: sendings whose answer never came, so that the frame was sent again.
        positions: where in the reel the frame of each sequence lies.
        ends: how each sequence ended, as read from the outcomes; more than one is a fault of ours.
        refusals: why frames were refused, and how many.
        masked_s: when the mask of a sequence was read.
        wrong: sequences whose mask differs from the one decoded here.
        lost: frames that the ledger calls lost, as last read.
        rolled_back: ends that were read and that replication lost: the frame ended again, or is lost with its end.
    """

    stream: str
    epoch: int
    complete: bool = False
    taken_s: dict[int, float] = field(default_factory=dict)
    repeated: int = 0
    positions: dict[int, int] = field(default_factory=dict)
    ends: dict[int, list[str]] = field(default_factory=dict)
    refusals: Counter[str] = field(default_factory=Counter)
    masked_s: dict[int, float] = field(default_factory=dict)
    wrong: list[int] = field(default_factory=list)
    key_request: int = 0
    lost: int = 0
    rolled_back: int = 0

    @property
    def keys(self) -> StreamKeys:
        """Its keys."""
        return StreamKeys.of(self.stream, SHARDS)

    @property
    def settings(self) -> bytes:
        """Its record."""
        return b'{"policy": "complete"}' if self.complete else b'{"policy": "realtime", "stale_ms": 2000}'

    @property
    def open(self) -> int:
        """Frames that were taken, whose end was not read, and which the ledger does not call lost."""
        return len(self.taken_s) - len(self.ends) - self.lost

    async def play(self, store: Store, reel: Reel, period_s: float, playing: asyncio.Event) -> None:
        """Send a frame each period while ``playing`` is set; one that Redis does not take is sent until it does.

        While :data:`_MOST_OPEN` are open none is sent: what a busy machine can do decides the load, not the clock.
        """
        position, next_s = 0, time.monotonic()
        while playing.is_set():
            position = await self._next_position(store, position)
            sequence = len(self.taken_s)
            self.positions[sequence] = position
            body = reel.packet(position, FrameIdentity(self.epoch, sequence), int(time.time() * 1000))
            while not await self._send(store, body):  # noqa: ASYNC110 - the server is another process
                await asyncio.sleep(_PAUSE_S)
            self.taken_s[sequence] = time.monotonic()
            position += 1
            next_s = max(next_s + period_s, time.monotonic())
            await asyncio.sleep(next_s - time.monotonic())
            while self.open >= _MOST_OPEN and playing.is_set():  # noqa: ASYNC110 - as above
                await asyncio.sleep(_PAUSE_S)

    def read_end(self, kind: bytes, body: bytes, reel: Reel) -> None:
        """Note one outcome."""
        mask = MaskPacket.parse(body) if kind == b"mask" else None
        outcome = mask or outcome_from_json(kind, body)
        sequence = -1
        if outcome.identity is not None and outcome.identity.epoch == self.epoch:
            sequence = outcome.identity.sequence
        self.ends.setdefault(sequence, []).append(kind.decode())
        if isinstance(outcome, Refusal):
            self.refusals[outcome.reason] += 1
        if mask is not None:
            self.masked_s[sequence] = time.monotonic()
            if sequence not in self.positions or not reel.shows(self.positions[sequence], mask.labels):
                self.wrong.append(sequence)

    def keep(self, outcomes: Sequence[tuple[bytes, bytes]], reel: Reel) -> None:
        """Take the outcomes that are in Redis at the end for those that were read, which a failover may have undone."""
        read = Counter((n, kind) for n, kinds in self.ends.items() for kind in kinds)
        self.ends, self.refusals = {}, Counter()
        for kind, body in outcomes:
            self.read_end(kind, body, reel)
        self.rolled_back = (read - Counter((n, kind) for n, kinds in self.ends.items() for kind in kinds)).total()

    def first_mask_of_frames_since(self, since_s: float) -> float | None:
        """When the first mask was read of a frame that was sent after a moment."""
        return min(
            (self.masked_s[n] for n, s in self.taken_s.items() if s > since_s and n in self.masked_s), default=None
        )

    def kinds(self) -> Counter[str]:
        """The outcomes that were read, by kind."""
        return Counter(kind for kinds in self.ends.values() for kind in kinds)

    async def _next_position(self, store: Store, position: int) -> int:
        """The next frame, or the next key frame where one is asked for, as a camera does it."""
        try:
            record = await store.call("GET", self.keys.control)
        except ServiceError:
            return position
        asked = 0 if record is None else Control.parse(record).key_request
        if asked in (0, self.key_request):
            return position
        self.key_request = asked
        return -(-position // CHAIN) * CHAIN

    async def _send(self, store: Store, body: bytes) -> bool:
        try:
            await store.call("XADD", self.keys.features, "*", PACKET_FIELD, body)
        except ServiceError:
            self.repeated += 1
            return False
        return True


class _Standstill:
    """Notices that a number no longer grows."""

    def __init__(self, read: Callable[[], int]) -> None:
        self._read, self._last, self._since_s = read, read(), time.monotonic()

    def check(self, what: str) -> None:
        """Look again.

        Raises:
            ServiceError: it has not grown for :data:`_STANDSTILL_S`.
        """
        if self._read() != self._last:
            self._last, self._since_s = self._read(), time.monotonic()
        elif time.monotonic() - self._since_s > _STANDSTILL_S:
            raise ServiceError(f"nothing ends any more for {_STANDSTILL_S:g} s; {what}")


class Fleet:
    """Some cameras under way, every second one ``complete``, the others ``realtime``."""

    def __init__(self, url: str, reel: Reel, prefix: str, cameras: int, frames_per_s: float) -> None:
        self.cameras = [Camera(f"{prefix}-{n}", n + 1, complete=n % 2 == 0) for n in range(cameras)]
        self._url, self._reel, self._period_s = url, reel, 1 / frames_per_s
        self._playing = asyncio.Event()

    @asynccontextmanager
    async def play(self) -> AsyncIterator[Fleet]:
        """Play while the context lasts, or until :meth:`settle`."""
        self._store, self._reader = Store.connect(self._url), Store.connect(self._url)
        for camera in self.cameras:
            await self._store.call("HSET", ShardKeys(camera.keys.shard).streams, camera.stream, camera.settings)
        self._playing.set()
        self._players = [
            asyncio.create_task(each.play(self._store, self._reel, self._period_s, self._playing))
            for each in self.cameras
        ]
        self._reading = asyncio.create_task(self._witness())
        try:
            yield self
        finally:
            await cancel_all([self._reading, *self._players])
            await self._store.close()
            await self._reader.close()

    async def back_after(self, since_s: float) -> float:
        """Seconds from a moment until every stream had the mask of a frame that was sent after it.

        However slow the machine is: a stream is given up once others had :data:`_MASKS_OF_OTHERS` masks in the
        meantime, and all of them once none got any for :data:`_STANDSTILL_S`.

        Raises:
            ServiceError: it was given up.
        """
        begun, still = self._masks(), _Standstill(self._masks)
        while without := self._without(since_s):
            still.check(f"streams without service: {without}")
            if self._masks() - begun > _MASKS_OF_OTHERS * len(self.cameras):
                raise ServiceError(f"others had {self._masks() - begun} masks since; streams without any: {without}")
            await asyncio.sleep(0.02)
        masked = [camera.first_mask_of_frames_since(since_s) for camera in self.cameras]
        return max(each for each in masked if each is not None) - since_s

    async def settle(self) -> None:
        """Stop sending, and wait until everything that was sent has ended, or nothing ends any more."""
        self._playing.clear()
        await asyncio.gather(*self._players)
        still = _Standstill(lambda: sum(len(camera.ends) + camera.lost for camera in self.cameras))
        with suppress(ServiceError):  # what has no end stands in the accounts
            while any(camera.open > 0 for camera in self.cameras):
                still.check("frames without an end")
                await asyncio.sleep(0.05)

    async def settle_after_failovers(self) -> None:
        """As :meth:`settle`; outcomes that were read may be gone, so the ledger says when all has ended.

        The ends that count are then those which are in Redis.
        """
        self._playing.clear()
        await asyncio.gather(*self._players)
        ended = [0]
        still = _Standstill(lambda: sum(ended))
        with suppress(ServiceError):
            while any(count < len(camera.taken_s) for count, camera in zip(ended, self.cameras, strict=False)):
                still.check("frames without an end")
                await asyncio.sleep(0.2)
                ended = [_ended(await self.ledger(camera)) for camera in self.cameras]
        await cancel_all([self._reading])
        for camera in self.cameras:
            entries = await self._store.call("XRANGE", camera.keys.outcomes, "-", "+")
            named = [pairs(fields) for _, fields in entries]
            camera.keep([(each[b"k"], each[b"p"]) for each in named], self._reel)

    async def ledger(self, camera: Camera) -> dict[str, int]:
        """The stream's ledger in Redis."""
        fields = pairs(await self._store.call("HGETALL", camera.keys.ledger))
        return {name.decode(): int(count) for name, count in fields.items()}

    async def left(self, camera: Camera) -> int:
        """Entries of the stream that have no end."""
        return int(await self._store.call("XLEN", camera.keys.features))

    async def _witness(self) -> None:
        """Read every stream's outcomes; one command a stream, for no command reads those of several nodes."""
        after = {camera.keys.outcomes: b"0" for camera in self.cameras}
        while True:
            asks: list[tuple[str | bytes | int, ...]] = [
                ("XREAD", "COUNT", _MOST_OUTCOMES, "STREAMS", key, last) for key, last in after.items()
            ]
            losses: list[tuple[str | bytes | int, ...]] = [("HGET", each.keys.ledger, "lost") for each in self.cameras]
            try:
                replies = await self._reader.many([*asks, *losses])
            except ServiceError:
                await asyncio.sleep(_PAUSE_S)
                continue
            for camera, read, lost in zip(self.cameras, replies, replies[len(asks) :], strict=False):
                if not isinstance(lost, Exception):
                    camera.lost = int(lost or 0)
                for key, entries in [] if isinstance(read, Exception) else read or []:
                    for entry, fields in entries:
                        named = pairs(fields)
                        camera.read_end(named[b"k"], named[b"p"], self._reel)
                        after[key.decode()] = entry
            await asyncio.sleep(_LOOK_S)

    async def pending(self, camera: Camera) -> int:
        """Entries that were delivered and not acknowledged."""
        return int((await self._store.call("XPENDING", camera.keys.features, GROUP))[0])

    def _masks(self) -> int:
        return sum(len(camera.masked_s) for camera in self.cameras)

    def _without(self, since_s: float) -> Sequence[str]:
        return [c.stream for c in self.cameras if c.first_mask_of_frames_since(since_s) is None]


def _ended(ledger: Mapping[str, int]) -> int:
    return sum(ledger.get(name, 0) for name in ("mask", "skipped", "refused", "lost"))
