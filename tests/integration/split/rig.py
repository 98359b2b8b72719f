"""The dispatcher of a split network, as `narrows orchestrate` makes it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import redis

from narrows.client.registry import StreamRegistry
from narrows.contract.bundle import SplitBundle, models_of
from narrows.contract.wire import Policy, StreamSettings
from narrows.runtime.redis import read_install
from orchestrator.discovery.service_discovery import ServiceDiscovery
from orchestrator.discovery.sources import parse_sources
from orchestrator.dispatch import Dispatcher, DispatchSettings, Store
from orchestrator.dispatch.program import triton_connect
from orchestrator.servers import LocalRedis, LocalTriton
from tests.integration.while_running import while_running

SHARDS = 4


@asynccontextmanager
async def dispatching(server: LocalRedis, triton: LocalTriton, *bundles: SplitBundle) -> AsyncIterator[Dispatcher]:
    """As `narrows orchestrate` does it, with a pool for each tail."""
    store = Store.connect(server.url)
    servers = ServiceDiscovery(parse_sources((triton.grpc_address,)), store)
    tails = [tail for bundle in bundles for tail in models_of(bundle)]
    served = {tail.id: (tail, triton_connect(servers, tail, max_batch=4, slots=2)) for tail in tails}
    try:
        settings = DispatchSettings(drain_s=1.0, retention=4096)
        dispatcher = await Dispatcher.create(store, served, settings, shards=SHARDS)
        looking = asyncio.create_task(servers.run())
        try:
            async with while_running(dispatcher):
                yield dispatcher
        finally:
            looking.cancel()
    finally:
        await store.close()


def patient(client: redis.Redis, stream: str, held_to: SplitBundle | None = None) -> None:
    """Every frame is wanted, however busy the machine is; of one bundle alone, if one is named."""
    registry = StreamRegistry(client, read_install(client))
    named = None if held_to is None else held_to.hex_id
    registry.set(stream, StreamSettings(policy=Policy.COMPLETE, bundle=named), who="a test")
