"""Whatever befalls the dispatchers or their server, every frame ends once and the ledger says so."""

import asyncio
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from narrows.contract.bundle import Bundle
from narrows.contract.wire.keys import DISPATCHERS_KEY
from orchestrator.dispatch import Store
from orchestrator.servers import LocalRedis
from orchestrator.servers.ports import free_ports
from tests.integration.dispatch.rig import Camera, until

ROOT = Path(__file__).parents[3]
_DISPATCHER = """
import asyncio, signal, sys
from dataclasses import replace
from orchestrator.dispatch import Connected, Dispatcher, Store
from tests.integration.dispatch.conftest import make_bundle
from tests.integration.dispatch.rig import QUICK, SHARDS, RuleDecoder

async def main():
    stop, bundle, decoder = asyncio.Event(), make_bundle(), RuleDecoder()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async def connect():
        return Connected(decoder)
    settings = replace(QUICK, retention=100_000, lease_ttl_ms=1000, claim_idle_ms=1500, gap_s=5.0)
    store, served = Store.connect(sys.argv[1]), {bundle.id: (bundle, connect)}
    dispatcher = await Dispatcher.create(store, served, settings, shards=SHARDS)
    await dispatcher.run(stop)

asyncio.run(main())
"""

Process = asyncio.subprocess.Process


@asynccontextmanager
async def dispatchers(url: str, count: int) -> AsyncIterator[list[Process]]:
    processes = [await spawn(url) for _ in range(count)]
    try:
        yield processes
    finally:
        for process in processes:
            await end(process, signal.SIGKILL)


async def spawn(url: str) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", _DISPATCHER, url, cwd=ROOT, stdout=asyncio.subprocess.DEVNULL
    )


async def end(process: Process, number: signal.Signals) -> None:
    if process.returncode is None:
        process.send_signal(signal.SIGCONT)
        process.send_signal(number)
    async with asyncio.timeout(15):
        await process.wait()


async def strike(
    store: Store, url: str, processes: list[Process], chance: random.Random, sending: asyncio.Lock
) -> None:
    """One fault: kill, end, freeze for a while, or cut every connection but the cameras'."""
    victim = chance.randrange(len(processes))
    match chance.choice(["kill", "end", "freeze", "cut"]):
        case "kill":
            await end(processes[victim], signal.SIGKILL)
            processes[victim] = await spawn(url)
        case "end":
            await end(processes[victim], signal.SIGTERM)
            processes[victim] = await spawn(url)
        case "freeze":
            processes[victim].send_signal(signal.SIGSTOP)
            await asyncio.sleep(chance.uniform(0.2, 1.5))
            processes[victim].send_signal(signal.SIGCONT)
        case _:
            async with sending:  # on our own connection, which is spared
                await store.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


async def each_frame_ended_once(cameras: list[Camera]) -> None:
    for cam in cameras:
        await cam.ended(mask=cam.sequence)
        assert Counter(outcome.identity for outcome in await cam.outcomes()).most_common(1)[0][1] == 1
        assert await cam.ledger() == {"mask": cam.sequence}
        assert await cam.unfinished() == 0


async def test_dispatchers_may_die_freeze_leave_and_lose_their_connections(
    server: LocalRedis, store: Store, bundle: Bundle
) -> None:
    chance, playing, sending = random.Random(20), True, asyncio.Lock()
    cameras = [Camera(store, bundle, f"cam-{n}", epoch=n + 1) for n in range(8)]
    for cam in cameras:
        await cam.settings(b'{"policy": "complete"}')

    async def play() -> None:
        while playing:
            for cam in cameras:
                async with sending:
                    await cam.frames(chance.choice([0, 1, 1, 2]))
            await asyncio.sleep(0.04)

    async with dispatchers(server.url, 2) as processes:
        cast = asyncio.create_task(play())
        for _ in range(8):
            await asyncio.sleep(chance.uniform(0.2, 0.8))
            await strike(store, server.url, processes, chance, sending)
        playing = False
        await cast
        await each_frame_ended_once(cameras)


async def test_the_server_may_be_killed_and_come_back(bundle: Bundle, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    first = LocalRedis.start(tmp_path, port=port)
    store = Store.connect(first.url)
    cam = Camera(store, bundle, "cam")
    await cam.settings(b'{"policy": "complete"}')
    async with dispatchers(first.url, 2):
        await until(lambda: _both_live(store))
        await cam.frames(20)
        os.kill(first.pid, signal.SIGKILL)
        first.stop()
        await store.close()
        with LocalRedis.start(tmp_path, port=port):
            cam.store = Store.connect(first.url)
            await cam.frames(20)
            await each_frame_ended_once([cam])
            await cam.store.close()


async def _both_live(store: Store) -> bool:
    return int(await store.call("ZCARD", DISPATCHERS_KEY)) == 2
