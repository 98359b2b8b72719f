"""Behind a cluster's address a store asks the node that serves each key, also after slots moved and masters died."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
import redis

from edge_client.transport import link
from narrows.contract.wire import ShardKeys
from narrows.runtime.redis import cluster, connect
from narrows.runtime.redis.replies import Remedy
from narrows.runtime.redis.server import NodeAway
from narrows.runtime.redis.store import ReplyRefused, Store, StoreAway, pack_read
from tests.integration.topologies.servers import Nodes, eventually

SHARDS = range(8)
LEASES = [ShardKeys(shard).lease for shard in SHARDS]


@pytest.fixture
async def store(nodes: Nodes) -> AsyncIterator[Store]:
    nodes.empty()
    store = Store.connect(nodes.url)
    yield store
    await store.close()
    nodes.heal()


async def patiently(store: Store, *command: str) -> object:
    """As the loops of programs do: ask again, until the cluster has found another master."""
    async with asyncio.timeout(30):
        while True:
            try:
                return await store.call(*command)
            except (StoreAway, ReplyRefused):
                await asyncio.sleep(0.05)


async def test_commands_about_keys_of_several_nodes_are_asked_at_once_and_answered_in_order(
    store: Store, nodes: Nodes
) -> None:
    assert len({nodes.master_of(each).port for each in LEASES}) == 3
    replies = await store.many([("SET", each, f"value of {each}") for each in LEASES])
    assert replies == [b"OK"] * len(LEASES)
    assert await store.many([("GET", each) for each in LEASES]) == [f"value of {each}".encode() for each in LEASES]


async def test_a_stream_is_found_on_each_node_and_read_from_its_own(store: Store) -> None:
    keys = [f"narrows:{{{shard}}}:in:cam-{shard}" for shard in SHARDS]
    for key in keys:
        await store.call("XGROUP", "CREATE", key, "narrows", "0", "MKSTREAM")
        await store.call("XADD", key, "*", "p", key)
    assert await store.scan_streams("narrows:{*}:in:*") == sorted(key.encode() for key in keys)
    for key in keys:
        found = await store.read_new(pack_read("narrows", "me", [key], count=4, block_ms=10), 1 << 20)
        assert [entry.fields for entry in found[key.encode()]] == [[b"p", key.encode()]]


async def test_a_slot_that_moved_is_followed_without_a_word(
    store: Store, nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However lately the map was read: a machine may be quick."""
    monkeypatch.setattr(cluster, "_READ_AGAIN_S", 0.5)
    key = LEASES[0]
    await store.call("SET", key, "kept")
    target = nodes.move(key)
    assert await store.call("GET", key) == b"kept"
    assert nodes.master_of(key) is target
    assert await store.many([("GET", each) for each in LEASES[:2]]) == [b"kept", None]


async def test_what_is_written_is_said_by_the_node_that_serves_the_shard_and_ends_where_it_moves(
    store: Store, nodes: Nodes
) -> None:
    key, told = ShardKeys(3).features + "cam-1", asyncio.Queue[Sequence[bytes] | None]()
    for _ in range(2):
        following = asyncio.create_task(store.follow_writes(ShardKeys(3).features, told.put_nowait, lambda: True))
        assert await told.get() is None
        await store.call("XADD", key, "*", "p", b"x")
        assert await told.get() == [key.encode()]
        nodes.move(key)
        await store.call("XADD", key, "*", "p", b"x")  # who reads it learns that it moved
        done, _ = await asyncio.wait([following], timeout=20)
        assert done == {following}
        while not told.empty():
            told.get_nowait()


async def test_a_node_that_died_keeps_nobody_else_waiting_and_its_heir_has_the_keys(store: Store, nodes: Nodes) -> None:
    await store.many([("SET", each, "1") for each in LEASES])
    victim = LEASES[0]
    nodes.say(nodes.master_of(victim), "WAIT", 1, 4000)
    port = nodes.master_of(victim).port
    dead = [each for each in LEASES if nodes.master_of(each).port == port]
    nodes.kill_master_of(victim)
    replies = dict(zip(LEASES, await store.many([("GET", each) for each in LEASES]), strict=True))
    assert {each: reply for each, reply in replies.items() if each not in dead} == dict.fromkeys(
        set(LEASES) - set(dead), b"1"
    )
    for each in dead:
        assert isinstance(replies[each], NodeAway)
        assert f"127.0.0.1:{port}" in str(replies[each])
        assert replies[each].remedy is Remedy.WAIT
    with pytest.raises(StoreAway, match=f"the cluster's node 127.0.0.1:{port} is away"):
        await store.call("GET", victim)
    assert not await store.answers(victim)
    assert await store.answers(next(each for each in LEASES if each not in dead))
    assert await patiently(store, "GET", victim) == b"1"


async def test_one_member_asked_alone_says_whose_the_key_is(nodes: Nodes, store: Store) -> None:
    await store.call("SET", LEASES[0], "1")
    serves = nodes.master_of(LEASES[0])
    other = Store.connect(next(each for each in nodes.masters() if each is not serves).url)
    with pytest.raises(
        ReplyRefused, match=rf"MOVED slot \d+ is served by 127.0.0.1:{serves.port}; .*redis\+cluster://"
    ):
        await other.call("GET", LEASES[0])
    await other.close()


def test_who_waits_is_led_to_the_node_of_each_key_and_follows_it(nodes: Nodes, store: Store) -> None:
    with connect(nodes.url) as client:
        for each in LEASES:
            client.set(each, each)
        together = client.pipeline(transaction=False)
        for each in LEASES:
            together.get(each)
        assert together.execute() == [each.encode() for each in LEASES]
        assert sorted(client.scan_iter(match="narrows:*")) == sorted(each.encode() for each in LEASES)
        double = client.register_script("return redis.call('GET', KEYS[1]) .. redis.call('GET', KEYS[1])")
        assert [double([each]) for each in LEASES] == [2 * each.encode() for each in LEASES]
        client.transaction(lambda pipe: (pipe.multi(), pipe.set(LEASES[1], "changed")), LEASES[1])
        nodes.move(LEASES[1])
        assert client.get(LEASES[1]) == b"changed"
        nodes.move(LEASES[2])
        for each in LEASES[2:5]:
            together.get(each)
        assert together.execute() == [each.encode() for each in LEASES[2:5]]
        together.get(LEASES[2]).incr(LEASES[3]).get(LEASES[4])
        with pytest.raises(redis.ResponseError, match="not an integer"):
            together.execute()
        together.incr(LEASES[3]).get(LEASES[4])
        refused, found = together.execute(raise_on_error=False)
        assert isinstance(refused, redis.ResponseError)
        assert found == LEASES[4].encode()
        nodes.say(nodes.master_of(LEASES[0]), "WAIT", 1, 4000)
        nodes.kill_master_of(LEASES[0])
        eventually(lambda: client.get(LEASES[0]) == LEASES[0].encode())


def test_a_camera_is_led_to_the_node_of_its_stream_and_follows_it(nodes: Nodes, store: Store) -> None:
    key = "narrows:{2}:in:cam-1"
    with link.connect(nodes.url, key=key) as client:
        client.xadd(key, {"p": b"1"})
        assert client.info("server")["tcp_port"] == nodes.master_of(key).port
        nodes.move(key)
        with pytest.raises(redis.exceptions.MovedError) as moved:
            client.xadd(key, {"p": b"2"})
        assert link.name_failure(moved.value).reason == "cluster"
        client.close()
        client.xadd(key, {"p": b"3"})
        assert client.info("server")["tcp_port"] == nodes.master_of(key).port


async def test_a_cluster_that_is_away_is_said_with_all_that_was_tried() -> None:
    store = Store.connect("redis+cluster://127.0.0.1:1,127.0.0.1:2")
    with pytest.raises(StoreAway, match=r"no node of the cluster.*127.0.0.1:1.*127.0.0.1:2"):
        await store.call("GET", "narrows:install")
    await store.close()
