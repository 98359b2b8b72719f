"""Connections that are made anew in their time: the old one is left when the new one stands, and not before.

A server that is full of clients would take none of ours else, one after the other, until none is left.
"""

import asyncio
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
import redis

from narrows.runtime.redis import connection as connection_module
from narrows.runtime.redis import server as server_module
from narrows.runtime.redis.connection import connect
from narrows.runtime.redis.store import ReplyRefused, Store
from orchestrator.servers import LocalRedis


@contextmanager
def full(server: LocalRedis) -> Iterator[redis.Redis]:
    """While this lasts, the server takes no client beyond those that it has."""
    with closing(redis.Redis.from_url(server.url)) as admin:
        most: Any = admin.config_get("maxclients")["maxclients"]
        admin.config_set("maxclients", len(admin.client_list()))
        try:
            yield admin
        finally:
            admin.config_set("maxclients", most)


@pytest.fixture
def always_old(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (server_module, connection_module):
        monkeypatch.setattr(module, "LONGEST_CONNECTION_S", 0.0)
        monkeypatch.setattr(module, "RENEW_AGAIN_S", 0.0)


@pytest.mark.usefixtures("always_old")
async def test_a_store_keeps_its_connection_while_no_new_one_is_to_be_had(store: Store, server: LocalRedis) -> None:
    await store.call("PING")
    with full(server) as admin:
        kept = await store.call("CLIENT", "ID")
        assert [await store.call("CLIENT", "ID") for _ in range(3)] == [kept] * 3
        clients = len(admin.client_list())
    made = [await store.call("CLIENT", "ID") for _ in range(3)]
    assert kept < made[0] < made[1] < made[2]
    with closing(redis.Redis.from_url(server.url)) as admin:
        assert len(admin.client_list()) <= clients + 1, "an old one is left once the new one stands"


@pytest.mark.usefixtures("always_old")
def test_a_client_keeps_its_connection_while_no_new_one_is_to_be_had(server: LocalRedis) -> None:
    with closing(connect(server.url)) as client:
        client.ping()
        with full(server) as admin:
            kept = client.client_id()
            assert [client.client_id() for _ in range(3)] == [kept] * 3
            clients = len(admin.client_list())
        made = [client.client_id() for _ in range(3)]
        assert kept < made[0] < made[1] < made[2]
        with closing(redis.Redis.from_url(server.url)) as admin:
            assert len(admin.client_list()) <= clients + 1


async def test_a_connection_that_the_server_closed_while_it_was_idle_costs_nothing(
    store: Store, server: LocalRedis
) -> None:
    kept = await store.call("CLIENT", "ID")
    with closing(redis.Redis.from_url(server.url)) as admin:
        assert admin.client_kill_filter(_id=kept) == 1
    servers: Any = store._servers
    (idle,) = servers._server._redis.connection_pool._available_connections
    while not idle._reader.at_eof():  # noqa: ASYNC110 - redis-py says it by no event
        await asyncio.sleep(0.001)
    assert await store.call("CLIENT", "ID") > kept
    assert (idle,) == tuple(servers._server._redis.connection_pool._available_connections), "it was made anew in place"


async def test_errors_among_replies_are_in_their_places(store: Store) -> None:
    replies = await store.many([("PING",), ("NOSUCH",), ("PING",)])
    assert (replies[0], replies[2]) == (b"PONG", b"PONG")
    assert isinstance(replies[1], ReplyRefused)
