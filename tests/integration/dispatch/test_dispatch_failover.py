"""Frames behind an address that moves to the replica: those that it has end there, and so do those that come."""

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from narrows.contract.bundle import Bundle
from narrows.runtime.redis import connect
from narrows.runtime.redis import server as server_module
from narrows.runtime.redis.store import StoreAway
from orchestrator.dispatch import Connected, Dispatcher, Store
from tests.integration.dispatch.conftest import closing
from tests.integration.dispatch.rig import QUICK, SHARDS, Camera, RuleDecoder
from tests.integration.moving_address import Pair, redis_pair
from tests.integration.while_running import while_running


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with redis_pair(tmp_path) as pair:
        yield pair


async def test_frames_end_at_the_new_primary(pair: Pair, bundle: Bundle) -> None:
    store, old, new = (Store.connect(url) for url in (pair.url, pair.first.url, pair.second.url))
    decoder = RuleDecoder()

    async def connect() -> Connected:
        return Connected(decoder)

    async with closing(store), closing(old), closing(new):
        dispatcher = await Dispatcher.create(store, {bundle.id: (bundle, connect)}, QUICK, shards=SHARDS)
        async with while_running(dispatcher):
            cam = Camera(old, bundle, "cam-1")
            await cam.settings(b'{"policy": "complete"}')
            await cam.frames(2)
            await cam.ended(mask=2)
            decoder.gate.clear()
            await cam.frames(3)  # taken, and on their way while the address moves
            await asyncio.to_thread(pair.fail_over)
            decoder.gate.set()
            cam.store = new
            await cam.frames(3)
            await cam.ended(mask=8)
            assert await cam.unfinished() == 0


async def test_a_pool_leaves_a_demoted_server_at_its_first_refusal(pair: Pair) -> None:
    """Many connections are there; the refusal of one makes all of them anew, those that only read too."""
    store = Store.connect(pair.url)
    async with closing(store):
        await asyncio.gather(*(store.call("GET", "a") for _ in range(8)))
        await asyncio.to_thread(pair.fail_over)
        await store.many([("SET", "a", 1)])
        pair.new.set("a", "new")
        pair.old.replicaof("127.0.0.1", "1")  # what the old one has from now on is old
        pair.new.set("a", "newest")
        found = await asyncio.gather(*(store.call("GET", "a") for _ in range(8)))
        assert found == [b"newest"] * 8


async def test_a_store_leaves_a_primary_that_was_cut_off_and_never_says_so(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store.connect(pair.url)
    async with closing(store):
        await store.call("SET", "a", "old")
        pair.new.replicaof("NO", "ONE")
        pair.address.target = pair.second.port
        assert await store.call("GET", "a") == b"old"
        monkeypatch.setattr(server_module, "LONGEST_CONNECTION_S", 0.0)
        await store.call("SET", "a", "new")
        assert pair.new.get("a") == b"new"


async def test_a_store_whose_connections_are_of_a_dead_server_makes_all_anew_at_the_first_silence(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of them would be silent for ten seconds else, one behind the other."""
    monkeypatch.setattr(server_module, "_REPLY_TIMEOUT_S", 1.0)
    store = Store.connect(pair.url)
    async with closing(store):
        await asyncio.gather(*(store.call("PING") for _ in range(4)))
        await asyncio.to_thread(pair.lose_power)
        with pytest.raises(StoreAway, match="no answer"):
            await store.call("PING")
        assert await asyncio.gather(*(store.call("PING") for _ in range(4))) == [b"PONG"] * 4


def _pool(store: Store) -> Any:
    servers: Any = store._servers
    return servers._server._redis.connection_pool


async def test_idle_connections_find_out_that_their_peer_is_gone(pair: Pair) -> None:
    store = Store.connect(pair.url)
    async with closing(store):
        await store.call("PING")
        (made,) = _pool(store)._available_connections
        assert made._writer is not None
        own = made._writer.get_extra_info("socket")
        with connect(pair.url) as client:
            client.ping()
            (other,) = client.connection_pool._available_connections
            for each in (own, other._sock):
                assert each.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
                idle_s = each.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)
                probe_s = each.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL)
                probes = each.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT)
                assert idle_s + probe_s * probes <= 15
