"""The supervisor within a test's loop, with a real server and a Redis whose answers come when the test wants."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from threading import Event

import redis

from narrows.contract.bundle import Bundle
from narrows.contract.wire.keys import ScaleKeys
from narrows.runtime.redis.store import Encodable, Reply, Store
from narrows.runtime.triton_config import model_name
from orchestrator.servers import LocalRedis, LocalTriton
from orchestrator.servers.host_registry import HostRegistry
from orchestrator.servers.slot_plan import SlotPhase
from orchestrator.servers.slot_server import SlotServer
from orchestrator.servers.supervisor import Supervisor


class LateAnswers(Store):
    """A Redis that answers the last write before a server is gone only when it is."""

    slot: SlotServer | None = None
    _told_that_it_stops = False

    async def many(self, commands: Sequence[Sequence[Encodable]]) -> list[Reply]:
        replies = await super().many(commands)
        if self.slot is not None and self.slot.phase is SlotPhase.STOPPING and commands[0][0] == "HSET":
            if self._told_that_it_stops:  # it is stopped only once that was told
                await self.slot.ended()
            self._told_that_it_stops = True
        return replies


async def test_a_server_that_is_gone_while_redis_is_told_leaves_no_mark(
    server: LocalRedis, client: redis.Redis, demo_bundle: Bundle, model_repository: Path, tmp_path: Path
) -> None:
    def launch(given_up: Event) -> LocalTriton:
        return LocalTriton.start(model_repository, tmp_path, [model_name(demo_bundle.id)], given_up=given_up)

    slot = SlotServer("host/0", launch)
    store = LateAnswers.connect(server.url)
    supervisor = Supervisor(HostRegistry(store, "host"), [slot], initial=1, drain_s=5)
    stop, hurry = asyncio.Event(), asyncio.Event()
    running = asyncio.create_task(supervisor.run(stop, hurry))
    async with asyncio.timeout(60):
        while not client.hexists(ScaleKeys.SERVERS, "host/0"):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.05)
    store.slot = slot
    stop.set()
    await running
    await store.close()
    assert client.keys("narrows:{scale}:*") == []
