"""The ledger moves from one server to a cluster by a backup, and frames that had ended do not end again."""

from __future__ import annotations

from pathlib import Path

from narrows.contract.wire import Install
from narrows.contract.wire.keys import INSTALL_KEY
from narrows.runtime.redis import connect
from narrows.runtime.redis.store import Store
from orchestrator.servers import LocalRedis
from tests.integration.dispatch.rig import SHARDS
from tests.integration.scaling.scale_rig import narrows
from tests.integration.topologies.servers import Nodes
from tests.integration.topologies.test_dispatch import cameras, dispatching


async def test_a_backup_of_one_server_is_restored_into_a_cluster_and_its_frames_stay_ended(
    nodes: Nodes, tmp_path: Path
) -> None:
    nodes.empty()
    file = str(tmp_path / "ledger.jsonl")
    with LocalRedis.start(tmp_path / "alone") as alone:
        store = Store.connect(alone.url)
        async with dispatching(store):
            for camera in cameras(store):
                await camera.frames(3)
                await camera.ended(mask=3)
        await store.close()
        assert narrows("streams", "backup", file, "--redis-url", alone.url).returncode == 0
    said = narrows("streams", "restore", file, "--redis-url", nodes.url)
    assert said.returncode == 0, said.stderr
    with connect(nodes.url) as client:
        stored = client.get(INSTALL_KEY)
        assert isinstance(stored, bytes)
        assert Install.parse(stored).shards == SHARDS
    store = Store.connect(nodes.url)
    async with dispatching(store):
        for camera in cameras(store):
            await camera.frames(3)  # the same identities
            await camera.ended(duplicate=3)
            await camera.frames(1)
            await camera.ended(mask=4)
            assert (await camera.ledger())["duplicate"] == 3
    await store.close()
