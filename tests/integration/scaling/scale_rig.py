"""The programs of the system as processes, and cameras that send packets encoded before."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge_client.encode.split import SplitCoder, SplitHead
from narrows.contract.bundle import Bundle, SplitBundle
from narrows.contract.codec import encode_symbols, symbol_digest
from narrows.contract.wire import FeaturePacket, FrameIdentity, StreamKeys
from narrows.contract.wire.frame_packet import FramePacket
from narrows.contract.wire.frame_packet.feature import Origin
from narrows.contract.wire.keys import ScaleKeys
from narrows.runtime.redis.store import Store
from orchestrator.scaling.journal import JournalEntry
from orchestrator.scaling.status import Status
from tests import split_bundles

ROOT = Path(__file__).parents[3]
SHARDS = 4
GENEROUS_S = 90.0


@contextmanager
def program(log: Path, *command: str) -> Iterator[subprocess.Popen[bytes]]:
    """`narrows COMMAND` while the context lasts; what it says goes to ``log``."""
    environment = os.environ | {"NARROWS_CONFIG": os.devnull}
    with (
        log.open("ab") as out,
        subprocess.Popen(
            [sys.executable, "-m", "narrows.cli", *command], cwd=ROOT, stdout=out, stderr=out, env=environment
        ) as process,
    ):
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()


def narrows(*command: str) -> subprocess.CompletedProcess[str]:
    """`narrows COMMAND` to its end."""
    environment = os.environ | {"NARROWS_CONFIG": os.devnull}
    return subprocess.run(
        [sys.executable, "-m", "narrows.cli", *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        timeout=GENEROUS_S,
    )


async def until(
    there: Callable[[], Awaitable[bool]], state: Callable[[], Awaitable[Any]], limit_s: float = GENEROUS_S
) -> float:
    """Wait until something is true; answers how long that took. The limit only ends a test that fails."""
    began_s = time.monotonic()
    while not await there():
        if time.monotonic() > began_s + limit_s:
            raise AssertionError(f"it never came true: {await state()}")
        await asyncio.sleep(0.1)
    return time.monotonic() - began_s


async def status(store: Store) -> Status | None:
    """What the leader says."""
    record = await store.call("GET", ScaleKeys.STATUS)
    return None if record is None else Status.parse(record)


async def decisions(store: Store) -> list[JournalEntry]:
    """The journal, oldest first."""
    entries = await store.call("XRANGE", ScaleKeys.DECISIONS, "-", "+")
    return [JournalEntry.parse_entry(fields[1], int(entry.partition(b"-")[0])) for entry, fields in entries]


async def scaling(store: Store) -> str:
    """How it stands, for the message of a test that fails."""
    now, past = await status(store), await decisions(store)
    lines = [f"{each.action} {each.servers}x{each.instances} {each.reasons} {each.detail}" for each in past[-12:]]
    return f"{now}\n" + "\n".join(lines)


@dataclass
class Cameras:
    """Streams that send one packet over and over, each time as another frame."""

    store: Store
    bundle: Bundle
    streams: int
    frames_per_s: float
    prefix: str = "cam"
    sent: int = 0
    sending: bool = False

    def __post_init__(self) -> None:
        shape = self.bundle.manifest.latent
        symbols = np.random.default_rng(5).integers(-2, 3, shape.as_tuple()).astype(np.int8)
        symbols = self.bundle.tables.silence(symbols, 0)
        self._digest = symbol_digest(symbols)
        self._payload = encode_symbols(symbols, self.bundle.tables, 0)

    def names(self) -> list[str]:
        return [f"{self.prefix}-{n}" for n in range(self.streams)]

    async def run(self) -> None:
        """Send until ``sending`` is false, and count each batch that Redis has taken: never cut one off half-way."""
        keys = [StreamKeys.of(name, SHARDS).features for name in self.names()]
        epoch, sequence, begun_s = time.time_ns(), 0, time.monotonic()
        while self.sending:
            body = self._packet(epoch, sequence).to_bytes()
            await self.store.many([("XADD", key, "*", "p", body) for key in keys])
            self.sent += len(keys)
            sequence += 1
            await asyncio.sleep(max(0.0, begun_s + sequence / self.frames_per_s - time.monotonic()))

    async def ledger(self) -> dict[str, int]:
        """How the frames of all these streams ended."""
        total: dict[str, int] = {}
        for name in self.names():
            for outcome, count in (await self.store.hash_of(StreamKeys.of(name, SHARDS).ledger)).items():
                total[outcome.decode()] = total.get(outcome.decode(), 0) + int(count)
        return total

    def _packet(self, epoch: int, sequence: int) -> FeaturePacket | FramePacket:
        return FeaturePacket(
            bundle_id=self.bundle.id,
            epoch=epoch,
            sequence=sequence,
            capture_ms=int(time.time() * 1000),
            level=0,
            shape=self.bundle.manifest.latent,
            own_digest=self._digest,
            payload=self._payload,
        )


class SplitCameras(Cameras):
    """The same of a split network, whose every frame is of the next cut."""

    def __init__(self, store: Store, bundle: SplitBundle, streams: int, frames_per_s: float) -> None:
        self.store, self.streams, self.frames_per_s = store, streams, frames_per_s
        heads = [SplitHead(bundle, cut=cut) for cut in range(len(bundle.manifest.cuts))]
        self._crossings = [head.latent(split_bundles.picture(5)) for head in heads]
        self._coder = SplitCoder(bundle)

    def _packet(self, epoch: int, sequence: int) -> FramePacket:
        crossing = self._crossings[sequence % len(self._crossings)]
        frame = self._coder.packet(crossing, 0, FrameIdentity(epoch, sequence), int(time.time() * 1000))
        return frame.within(frame.beginning(Origin()))


@asynccontextmanager
async def sending(cameras: Cameras) -> AsyncIterator[Cameras]:
    """The cameras send while the context lasts."""
    cameras.sending = True
    task = asyncio.create_task(cameras.run())
    try:
        yield cameras
    finally:
        cameras.sending = False
        await task


def complete(bundle_id: str | None = None) -> bytes:
    """Settings of a stream none of whose frames may be skipped."""
    return json.dumps({"policy": "complete", "bundle": bundle_id}).encode()
