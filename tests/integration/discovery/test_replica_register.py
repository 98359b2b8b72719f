"""Servers that register themselves, and servers that drain, in a real Redis."""

import asyncio
import os
import signal
from pathlib import Path

import pytest
import redis

from narrows.contract.errors import ServiceError
from narrows.contract.wire.keys import ScaleKeys
from orchestrator.discovery.address import Address
from orchestrator.discovery.record import ServerRecord
from orchestrator.discovery.service_discovery import ServiceDiscovery
from orchestrator.discovery.sources import parse_sources
from orchestrator.dispatch import Store
from orchestrator.servers import LocalRedis


async def test_registered_servers_are_known_and_records_that_cannot_be_read_are_left_out(
    server: LocalRedis, client: redis.Redis
) -> None:
    store = Store.connect(server.url)
    service_discovery = ServiceDiscovery(parse_sources(["redis:", "10.0.0.9:1"]), store)
    assert service_discovery.looking
    await service_discovery.look()
    assert not service_discovery.looking
    assert service_discovery.addresses == {"10.0.0.9:1"}
    assert service_discovery.gaps() == [
        "none has registered in Redis: start `narrows supervise` with the same --redis-url"
    ]
    client.hset(ScaleKeys.SERVERS, "one", ServerRecord("10.0.0.1:8001", "gpu-0").to_json())
    client.hset(ScaleKeys.SERVERS, "two", b'{"v":1,"address":"[::1]:8001","slot":"gpu-1"}')
    client.hset(ScaleKeys.SERVERS, "broken", b"{")
    await service_discovery.look()
    assert service_discovery.addresses == {"10.0.0.9:1", "10.0.0.1:8001", "[::1]:8001"}
    client.hdel(ScaleKeys.SERVERS, "one")
    await service_discovery.look()
    assert service_discovery.addresses == {"10.0.0.9:1", "[::1]:8001"}
    await store.close()


async def test_a_server_drains_by_its_address_and_all_behind_a_name_by_the_name(
    server: LocalRedis, client: redis.Redis
) -> None:
    async def two(name: Address) -> frozenset[str]:
        return frozenset({f"10.0.0.1:{name.port}", f"10.0.0.2:{name.port}"})

    store = Store.connect(server.url)
    service_discovery = ServiceDiscovery(parse_sources(["triton:8001", "10.0.0.9:1"]), store, two)
    await service_discovery.look_up(Address("triton", 8001))
    client.hset(ScaleKeys.DRAINING, mapping={"10.0.0.1:8001": 1, "10.7.7.7:1": 1, "no address": 1})
    await service_discovery.look()
    assert service_discovery.draining == {"10.0.0.1:8001"}
    client.hset(ScaleKeys.DRAINING, "triton:8001", 1)
    await service_discovery.look()
    assert service_discovery.draining == {"10.0.0.1:8001", "10.0.0.2:8001"}
    client.delete(ScaleKeys.DRAINING)
    await service_discovery.look()
    assert service_discovery.draining == frozenset()
    await store.close()


async def test_a_redis_that_is_away_or_refuses_takes_no_server_away(tmp_path: Path) -> None:
    with LocalRedis.start(tmp_path) as running, redis.Redis.from_url(running.url) as client:
        store = Store.connect(running.url)
        service_discovery = ServiceDiscovery(parse_sources(["redis:"]), store)
        client.hset(ScaleKeys.SERVERS, "one", ServerRecord("10.0.0.1:8001").to_json())
        told = asyncio.Event()
        service_discovery.follow(told.set)
        looking = asyncio.create_task(service_discovery.run())
        await told.wait()
        client.delete(ScaleKeys.DRAINING)
        client.set(ScaleKeys.DRAINING, "no hash")
        with pytest.raises(ServiceError, match="WRONGTYPE"):
            await service_discovery.look()
        os.kill(running.pid, signal.SIGKILL)
        with pytest.raises(ServiceError, match="away"):
            await service_discovery.look()
        assert service_discovery.addresses == {"10.0.0.1:8001"}
        assert not looking.done()
        looking.cancel()
        await store.close()
