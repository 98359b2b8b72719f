"""A finisher over a real server, and streams of one shard whose frames it ends."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from narrows.contract.wire import FrameIdentity, ShardKeys, StreamKeys, StreamSettings
from narrows.contract.wire.keys import GROUP
from narrows.runtime.redis.store import RawEntry, pairs
from orchestrator.dispatch import DispatchSettings, Store
from orchestrator.dispatch.endings import Ending
from orchestrator.dispatch.finish import Ended, Finisher
from orchestrator.dispatch.lease import Lease
from orchestrator.dispatch.reference_cache import ReferenceCache
from orchestrator.dispatch.stream import Frame, Stream, Taken
from orchestrator.telemetry.faults import Faults
from orchestrator.telemetry.metrics import Metrics
from tests.integration.dispatch.rig import (
    QUICK,
    finished,
)

SMALL = 1_000


@asynccontextmanager
async def finishing(store: Store, settings: DispatchSettings = QUICK) -> AsyncIterator[Finisher]:
    await store.call("SET", ShardKeys(0).fence, "1")
    finisher = Finisher(store, settings, Faults(Metrics()))
    running = asyncio.create_task(finisher.run())
    try:
        yield finisher
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


def a_stream(name: str, lease: Lease | None = None) -> Stream:
    """Of its own lease, or of one that it shares with others of its shard: their frames end in one call."""
    lease = lease or Lease(0, "1", float("inf"))
    return Stream(StreamKeys(name, 0), lease, ReferenceCache(8), StreamSettings())


async def taken_in(store: Store, stream: Stream) -> Frame:
    await store.many([("XGROUP", "CREATE", stream.keys.features, GROUP, "0", "MKSTREAM")])
    entry = await store.call("XADD", stream.keys.features, "*", "p", "x")
    await store.call("XREADGROUP", "GROUP", GROUP, "me", "STREAMS", stream.keys.features, ">")
    return stream.take_in(RawEntry(entry, [b"p", b"x"]), 1, Taken(0.0, 0.0, 0.0))


async def at_once(store: Store, finisher: Finisher, sizes: dict[Stream, list[int]]) -> dict[str, list[Ended]]:
    """End frames with masks of these sizes in one batch, the streams in turn; answers what became of each."""
    frames = [(stream, n, size) for stream, each in sizes.items() for n, size in enumerate(each)]
    frames.sort(key=lambda frame: frame[1])
    taken = [
        (await taken_in(store, stream), Ending.mask(b"m" * size, FrameIdentity(1, n))) for stream, n, size in frames
    ]
    async with asyncio.timeout(60):
        ended = await asyncio.gather(*(finished(finisher, frame, ending) for frame, ending in taken))
    found: dict[str, list[Ended]] = {stream.id: [] for stream in sizes}
    for (stream, _, _), each in zip(frames, ended, strict=True):
        found[stream.id].append(each)
    return found


async def outcome_kinds(store: Store, stream: Stream) -> list[str]:
    entries = await store.call("XRANGE", stream.keys.outcomes, "-", "+")
    return [pairs(fields)[b"k"].decode() for _, fields in entries]
