"""From one server to two and back, by a leader's order, while cameras send: no frame is lost."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest

from narrows.contract.bundle import Bundle
from narrows.contract.records.report import ServerReport
from narrows.contract.wire import Install
from narrows.contract.wire.keys import INSTALL_KEY
from narrows.runtime.redis.store import Store
from narrows.runtime.triton_config import model_name
from orchestrator.scaling.engines.local import LocalServers
from orchestrator.scaling.leader import Leadership
from orchestrator.servers import LocalRedis
from tests.integration.dispatch.rig import SHARDS
from tests.integration.dispatch.test_dispatch_servers import (
    counted,
    dispatching_to,
    each_frame_has_its_mask,
    is_true,
    make_cameras,
    sending,
    standing,
)
from tests.integration.servers.host import WAIT_S, supervising


@pytest.fixture
async def store(server: LocalRedis) -> AsyncIterator[Store]:
    store = Store.connect(server.url)
    await store.call("FLUSHALL")
    await store.call("SET", INSTALL_KEY, Install(SHARDS).to_json())
    yield store
    await store.close()


async def comes(there: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something is true, as long as servers may take to start on a busy machine."""
    give_up_s = time.monotonic() + WAIT_S
    while not await there():
        assert time.monotonic() < give_up_s, "it never came true"
        await asyncio.sleep(0.1)


async def has(servers: LocalServers, ready: int) -> bool:
    """Whether so many are ready and nothing else is under way."""
    seen = await servers.observe()
    return (seen.ready, seen.starting, seen.draining) == (ready, 0, 0)


async def test_one_to_two_servers_and_back_under_load_loses_no_frame(
    server: LocalRedis, store: Store, demo_bundle: Bundle, model_repository: Path, tmp_path: Path
) -> None:
    options = (
        "--model-repository",
        str(model_repository),
        "--model",
        model_name(demo_bundle.id),
        "--max-servers-per-host",
        "2",
    )
    cameras = await make_cameras(store, demo_bundle)
    servers = LocalServers(store)
    with supervising(server.url, tmp_path, *options) as host:
        await asyncio.to_thread(host.comes_to, ready=1)
        (first,) = host.servers().values()
        async with dispatching_to(store, demo_bundle, "redis:") as dispatcher:

            def worked(address: str, frames: int) -> Callable[[], Awaitable[bool]]:
                return is_true(lambda: standing(dispatcher).get(address, ServerReport(ready=False)).frames >= frames)

            async with sending(cameras):
                await comes(worked(first, 20))
                token = await Leadership(store, "test").hold()
                assert token is not None
                await servers.scale(2, await servers.observe(), token)
                await comes(partial(has, servers, 2))
                (second,) = set(host.servers().values()) - {first}
                await comes(worked(second, 20))
                await servers.scale(1, await servers.observe(), token)
                await comes(partial(has, servers, 1))
                assert (await servers.observe()).servers == (first,)
                await comes(is_true(lambda: list(standing(dispatcher)) == [first]))
                await comes(worked(first, standing(dispatcher)[first].frames + 20))
            await each_frame_has_its_mask(cameras)
            assert counted(dispatcher, "triton_server_lost") == 0, "the server was drained before it was stopped"
        assert "event=drain_timed_out" not in host.told()
