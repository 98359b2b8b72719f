"""Cameras that send real packets, and a decoder by rule: what the tests of the Redis side share."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace
from numpy.typing import NDArray

from narrows.client.subscription import Outcome, parse_entry
from narrows.contract.bundle import Bundle
from narrows.contract.codec import Memory, encode_symbols, remember, symbol_digest
from narrows.contract.errors import InferenceFailed, ServiceError
from narrows.contract.wire import (
    FeaturePacket,
    LatentShape,
    MaskPacket,
    PacketKind,
    Refusal,
    ResultPacket,
    ShardKeys,
    Skip,
    StreamKeys,
    StreamSettings,
)
from narrows.contract.wire.keys import GROUP
from narrows.runtime.redis.store import pairs
from orchestrator.dispatch import Dispatcher, DispatchSettings, Store
from orchestrator.dispatch.endings import Ending
from orchestrator.dispatch.finish import Ended, Finisher
from orchestrator.dispatch.stream import Frame
from orchestrator.inference.contract import Batch, Inputs, ServedOutput, Slot

SHARDS = 4
BOTH_READINGS = pytest.mark.parametrize("told", [False, True], ids=["waits", "told"], indirect=True)
"""For tests of what holds however a shard is read: waiting for its streams together, or told which are written."""
LATENT = LatentShape(4, 6, 8)
CLASSES = 5
QUICK = DispatchSettings(
    lease_ttl_ms=600,
    beat_s=0.05,
    discover_s=0.05,
    sweep_s=0.05,
    claim_idle_ms=300,
    gap_s=0.3,
    drain_s=1.0,
    readiness_s=0.2,
    rest_s=0.1,
    unregistered=StreamSettings(stale_ms=60_000),  # what is stale is said where it is tested, not by a busy machine
)


def rule(symbols: NDArray[np.int8], level: int) -> NDArray[np.uint8]:
    """The label map that stands for these symbols: each position's sum over channels, doubled in size."""
    labels = (np.abs(symbols.astype(np.int32)).sum(axis=0) + level) % CLASSES
    doubled: NDArray[np.uint8] = labels.astype(np.uint8).repeat(2, axis=0).repeat(2, axis=1)
    return doubled


@dataclass
class RuleDecoder:
    """A decoder by rule, with a few slots. ``refuse`` fails batches that hold such symbols; ``away`` is an outage."""

    max_batch: int = 8
    away: bool = False
    refuse: Callable[[NDArray[np.int8]], bool] = lambda symbols: False
    batches: list[int] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    served: tuple[ServedOutput, ...] = ()

    def __post_init__(self) -> None:
        self.gate.set()
        self.symbols = np.zeros((self.max_batch, *LATENT.as_tuple()), np.int8)
        self.levels = np.zeros((self.max_batch, 1), np.int32)
        self.inputs: Inputs = {"symbols": self.symbols, "level": self.levels}
        self._lock = asyncio.Lock()

    async def lend(self) -> "RuleDecoder":
        await self._lock.acquire()
        return self

    def give_back(self, slot: Slot) -> None:
        assert slot is self
        self._lock.release()

    async def run(self, n: int) -> Batch:
        await self.gate.wait()
        await asyncio.sleep(0)
        if self.away:
            raise ServiceError("the decoder is away")
        if any(self.refuse(self.symbols[i]) for i in range(n)):
            raise InferenceFailed("a sample that cannot be")
        self.batches.append(n)
        return (np.stack([rule(self.symbols[i], int(self.levels[i, 0])) for i in range(n)]),)

    async def ready(self) -> bool:
        return not self.away

    async def close(self) -> None:
        return None


@dataclass
class Camera:
    """Sends packets of one stream; remembers what it coded."""

    store: Store
    bundle: Bundle
    stream: str
    epoch: int = 7
    sequence: int = 0
    planes: dict[int, NDArray[np.int8]] = field(default_factory=dict)
    memories: dict[int, Memory] = field(default_factory=dict)

    @property
    def keys(self) -> StreamKeys:
        return StreamKeys.of(self.stream, SHARDS)

    def packet(self, **changes: Any) -> FeaturePacket:
        """The next frame's packet, K and open unless said otherwise."""
        symbols = np.random.default_rng([self.epoch, self.sequence]).integers(-3, 4, LATENT.as_tuple()).astype(np.int8)
        self.planes[self.sequence] = symbols
        self.memories[self.sequence] = remember(symbols)
        packet = FeaturePacket(
            bundle_id=self.bundle.id,
            epoch=self.epoch,
            sequence=self.sequence,
            capture_ms=int(time.time() * 1000),
            level=0,
            shape=LATENT,
            own_digest=symbol_digest(symbols),
            payload=encode_symbols(symbols, self.bundle.tables, 0),
        )
        self.sequence += 1
        return replace(packet, **changes)

    def predicted(self, distance: int = 1) -> FeaturePacket:
        """The next frame, coded against the one ``distance`` before."""
        before = self.sequence - distance
        reference, memory = self.planes[before], self.memories[before]
        packet = self.packet()
        symbols = self.planes[packet.sequence]
        self.memories[packet.sequence] = remember(symbols, memory)
        return replace(
            packet,
            kind=PacketKind.PREDICTED,
            reference_distance=distance,
            reference_digest=symbol_digest(reference),
            payload=encode_symbols(symbols, self.bundle.tables, 0, memory),
        )

    async def send(self, *packets: FeaturePacket | bytes, name: bytes = b"p") -> list[bytes]:
        """Put packets, or bytes instead, into the stream."""
        bodies = [each if isinstance(each, bytes) else each.to_bytes() for each in packets]
        return [await self.store.call("XADD", self.keys.features, "*", name, body) for body in bodies]

    async def frames(self, count: int) -> None:
        """Send good frames."""
        await self.send(*(self.packet() for _ in range(count)))

    async def outcomes(self) -> list[MaskPacket | Skip | Refusal]:
        """How frames ended, in the order of their ending."""
        return [outcome for outcome in await self._ends() if not isinstance(outcome, ResultPacket)]

    async def results(self) -> list[ResultPacket]:
        """Frames that ended without a label map, in the order of their ending."""
        return [outcome for outcome in await self._ends() if isinstance(outcome, ResultPacket)]

    async def _ends(self) -> list[Outcome]:
        entries = await self.store.call("XRANGE", self.keys.outcomes, "-", "+")
        return [parse_entry(pairs(entry[1])) for entry in entries]

    async def ledger(self) -> dict[str, int]:
        """The stream's ledger."""
        return {name.decode(): int(n) for name, n in (await self.store.hash_of(self.keys.ledger)).items()}

    async def dead(self) -> list[dict[bytes, bytes]]:
        """The stream's dead letters."""
        entries = await self.store.call("XRANGE", ShardKeys(self.keys.shard).dead, "-", "+")
        letters = [pairs(entry[1]) for entry in entries]
        return [letter for letter in letters if letter[b"stream"] == self.stream.encode()]

    async def unfinished(self) -> int:
        """Entries without an end."""
        return int(await self.store.call("XLEN", self.keys.features))

    async def ended(self, **counts: int) -> None:
        """Wait until the ledger shows these counts."""

        async def there() -> bool:
            ledger = await self.ledger()
            return all(ledger.get(name, 0) == count for name, count in counts.items())

        await until(there, self.ledger)

    async def settings(self, record: bytes) -> None:
        """Set the stream's settings."""
        await self.store.call("HSET", ShardKeys(self.keys.shard).streams, self.stream, record)

    async def leave_pending(self, *entries: bytes, deliveries: int = 1, consumer: str = "gone") -> None:
        """Leave entries as a dispatcher does that died after it took them up so often."""
        await self.store.many([("XGROUP", "CREATE", self.keys.features, GROUP, "0")])
        await self.store.call("XREADGROUP", "GROUP", GROUP, consumer, "STREAMS", self.keys.features, ">")
        for entry in entries:
            await self.store.set_deliveries(self.keys.features, GROUP, consumer, entry, deliveries)


async def until(
    there: Callable[[], Awaitable[bool]], state: Callable[[], Awaitable[Any]] | None = None, limit_s: float = 20.0
) -> None:
    """Wait until something is true; fail with the state if it never is."""
    give_up = time.monotonic() + limit_s
    while not await there():
        if time.monotonic() > give_up:
            pytest.fail(f"it never came true: {await state() if state else ''}")
        await asyncio.sleep(0.01)


async def finished(finisher: Finisher, frame: Frame, ending: Ending) -> Ended:
    """What becomes of an ending; raises what the finisher tells."""
    told: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()

    def tell(_: Frame, ended: Ended | Exception) -> None:
        if isinstance(ended, Exception):
            told.set_exception(ended)
        else:
            told.set_result(ended)

    finisher.finish(frame, ending, tell)
    return await told


Start = Callable[..., AbstractAsyncContextManager[Dispatcher]]
MakeCamera = Callable[..., Camera]


async def holds(check: Callable[[], bool]) -> bool:
    """For :func:`until`, of what is here to be looked at."""
    return check()


def metric(dispatcher: Dispatcher, name: str, **labels: str) -> float:
    """What a dispatcher counted by now."""
    return dispatcher.metrics.registry.get_sample_value(name, labels) or 0.0
