"""Behind the address of Sentinels every kind of client finds the master, also the next one."""

from __future__ import annotations

import time
from typing import Any

import pytest
import redis

from edge_client.transport import link
from narrows.contract.errors import ServiceError
from narrows.runtime.redis import connect, named_errors
from narrows.runtime.redis.store import Store, StoreAway
from tests.integration.topologies.servers import MASTER, Watched, eventually

_UNKNOWN = r"no Sentinel of .* 'flet' .*SENTINEL MASTERS"


async def test_every_client_finds_the_master_and_after_a_failover_the_next(sentinels: Watched) -> None:
    store = Store.connect(sentinels.url)
    with connect(sentinels.url) as client, link.connect(sentinels.url) as camera:
        client.set("k", "1")
        assert camera.get("k") == await store.call("GET", "k") == b"1"
        old = sentinels.master
        new = sentinels.fail_over()
        eventually(lambda: client.info("server")["tcp_port"] == new.port)
        eventually(lambda: camera.info("server")["tcp_port"] == new.port)
        assert f"tcp_port:{new.port}".encode() in await patiently(store, "INFO", "server")
        assert client.get("k") == camera.get("k") == await store.call("GET", "k") == b"1"
    await store.close()
    sentinels.heal()
    assert old.running()


async def patiently(store: Store, *command: str) -> bytes:
    give_up_s = time.monotonic() + 30
    while True:
        try:
            return bytes(await store.call(*command))
        except StoreAway:
            assert time.monotonic() < give_up_s, "the store stays away"


def test_a_name_that_no_sentinel_knows_is_said_with_the_remedy(sentinels: Watched) -> None:
    url = sentinels.url.replace(f"/{MASTER}/", "/flet/")
    with connect(url) as client, pytest.raises(ServiceError, match=_UNKNOWN), named_errors(url):
        client.ping()


async def test_a_store_says_so_too(sentinels: Watched) -> None:
    store = Store.connect(sentinels.url.replace(f"/{MASTER}/", "/flet/"))
    with pytest.raises(StoreAway, match=_UNKNOWN):
        await store.call("PING")
    await store.close()


def test_a_sentinel_that_is_away_is_passed_over(sentinels: Watched) -> None:
    url = sentinels.url.replace("redis+sentinel://", "redis+sentinel://127.0.0.1:1,")
    with connect(url) as client:
        assert client.ping()


def test_a_master_that_was_demoted_is_left_and_read_only_keeps_its_name(sentinels: Watched) -> None:
    with link.connect(sentinels.url) as client:
        connection: Any = client.connection_pool.get_connection()
        with redis.Redis.from_url(sentinels.master.url) as admin:
            admin.replicaof("127.0.0.1", "1")
            connection.send_command("SET", "k", "3")
            try:
                with pytest.raises(redis.exceptions.ReadOnlyError):
                    connection.read_response()
            finally:
                admin.replicaof("NO", "ONE")
