"""From one server to a cluster, as docs/operations.md says it, while frames come: each of them has its mask."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from narrows.contract.wire import ShardKeys
from narrows.runtime.redis.store import Store
from orchestrator.servers import LocalRedis
from tests.integration.dispatch.rig import SHARDS
from tests.integration.topologies.servers import CLUSTER_OPTIONS, Nodes, eventually
from tests.integration.topologies.test_dispatch import cameras, dispatching


async def test_one_server_becomes_a_cluster_and_no_frame_is_lost(tmp_path: Path) -> None:
    with LocalRedis.start(tmp_path / "first") as alone:
        store, port = Store.connect(alone.url), alone.port
        for camera in cameras(store):
            await camera.frames(2)  # nobody has read them as the server ends
        await store.close()
    _write_map_of_all_slots(tmp_path)
    with (
        LocalRedis.start(tmp_path / "first", port=port, options=CLUSTER_OPTIONS) as first,
        LocalRedis.start(tmp_path / "second", options=CLUSTER_OPTIONS) as second,
    ):
        eventually(lambda: b"cluster_state:ok" in Nodes([first]).say(first, "CLUSTER", "INFO"))
        store = Store.connect(first.url)  # those who have the old address go on
        fleet = list(cameras(store))
        for camera in fleet:
            camera.sequence = 2
            await camera.frames(1)
        async with dispatching(store):
            for camera in fleet:
                await camera.ended(mask=3)
        await store.close()
        await _move_all_under_load(Nodes([first, second]), [camera.stream for camera in fleet])


async def _move_all_under_load(nodes: Nodes, streams: list[str]) -> None:
    first, second = nodes.servers
    nodes.say(second, "CLUSTER", "MEET", "127.0.0.1", first.port)
    eventually(lambda: nodes.say(first, "CLUSTER", "NODES").decode().count("connected") == 2)
    eventually(lambda: all(b"cluster_state:ok" in nodes.say(each, "CLUSTER", "INFO") for each in (first, second)))
    store, done = Store.connect(nodes.url), asyncio.Event()
    fleet = [camera for camera in cameras(store) if camera.stream in streams]

    async def send() -> None:
        while not done.is_set():
            for camera in fleet:
                await camera.frames(1)
            await asyncio.sleep(0.01)

    async with dispatching(store):
        for camera in fleet:
            camera.sequence = 3
        sending = asyncio.create_task(send())
        for shard in range(SHARDS):
            await asyncio.to_thread(nodes.move, ShardKeys(shard).lease, second)
            await asyncio.sleep(0.1)
        done.set()
        await sending
        for camera in fleet:
            await camera.ended(mask=camera.sequence)
            assert {name for name, count in (await camera.ledger()).items() if count} <= {"mask", "keys"}
    assert nodes.master_of(ShardKeys(0).lease) is second
    await store.close()


def _write_map_of_all_slots(folder: Path) -> None:
    """A file of an empty server that serves all slots, for one with data takes those alone that its keys lie in."""
    with LocalRedis.start(folder / "map", options=CLUSTER_OPTIONS) as empty:
        Nodes([empty]).say(empty, "CLUSTER", "ADDSLOTSRANGE", 0, 16383)
    shutil.copy(folder / "map" / "redis" / "nodes.conf", folder / "first" / "redis" / "nodes.conf")
