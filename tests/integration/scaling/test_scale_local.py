"""Servers of supervised hosts, asked through a real Redis: who may ask, and what is answered when nobody listens."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import pytest

from narrows.contract.records.report import FRESH_MS
from narrows.contract.wire.keys import ScaleKeys
from narrows.runtime.redis.store import Store
from orchestrator.scaling.engines.local import LocalServers
from orchestrator.scaling.leader import Leadership
from orchestrator.scaling.replicas import ActuationFailed, CapacityExhausted, Observed, StaleLeader
from orchestrator.servers import LocalRedis
from orchestrator.servers.host_record import HostState, WantedServers

_SEEN = Observed(wanted=1, ready=1)
_LEADS_AND_SCALES = """
import asyncio, sys
from orchestrator.scaling.engines.local import LocalServers
from orchestrator.scaling.leader import Leadership
from orchestrator.scaling.replicas import StaleLeader
from narrows.runtime.redis.store import Store

async def scale():
    store = Store.connect(sys.argv[1])
    servers, token = LocalServers(store), await Leadership(store, "child").hold()
    print(token, flush=True)
    sys.stdin.readline()
    try:
        await servers.scale(4, await servers.observe(), token)
        print("scaled", flush=True)
    except StaleLeader:
        print("stale", flush=True)

asyncio.run(scale())
"""


@pytest.fixture
async def store(server: LocalRedis) -> AsyncIterator[Store]:
    store = Store.connect(server.url)
    await store.call("FLUSHALL")
    yield store
    await store.close()


@contextmanager
def child(url: str) -> Iterator[subprocess.Popen[str]]:
    """A leader that scales to 4 when it is given a line."""
    command = [sys.executable, "-c", _LEADS_AND_SCALES, url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


async def says(store: Store, name: str, *, slots: int, wanted: int = 1, ready: int = 1, **more: object) -> None:
    """What a supervisor would write now."""
    state = HostState(int(await store.time_ms()), "owner", slots, wanted, ready=ready, **more)  # type: ignore[arg-type]
    await store.call("HSET", ScaleKeys.SUPERVISORS, name, state.to_json())


async def wanted(store: Store, name: str) -> WantedServers:
    return WantedServers.parse(await store.call("HGET", ScaleKeys.WANTED, name))


async def test_what_hosts_say_adds_up(store: Store) -> None:
    await says(store, "a", slots=4, wanted=2, ready=1, starting=1, servers=("127.0.0.1:1",))
    await says(store, "b", slots=2, ready=0, draining=1, servers=("127.0.0.1:2",))
    observed = await LocalServers(store).observe()
    assert observed == Observed(
        wanted=3, ready=1, starting=1, draining=1, slots=6, servers=("127.0.0.1:1", "127.0.0.1:2")
    )


async def test_a_target_is_shared_out_and_observed(store: Store) -> None:
    await says(store, "a", slots=4)
    await says(store, "b", slots=2)
    servers = LocalServers(store)
    await servers.scale(5, _SEEN, token=7)
    assert [await wanted(store, name) for name in "ab"] == [WantedServers(4, 7), WantedServers(1, 7)]
    assert (await servers.observe()).wanted == 5


async def test_more_than_the_slots_is_exhausted_and_changes_nothing(store: Store) -> None:
    await says(store, "a", slots=2)
    servers = LocalServers(store)
    await servers.scale(2, _SEEN, token=7)
    with pytest.raises(CapacityExhausted, match=r"3 servers are wanted .* 2 slots"):
        await servers.scale(3, _SEEN, token=7)
    assert await wanted(store, "a") == WantedServers(2, 7)


async def test_nobody_speaks(store: Store) -> None:
    with pytest.raises(ActuationFailed, match="narrows supervise"):
        await LocalServers(store).observe()
    state = HostState(int(await store.time_ms()) - FRESH_MS - 1, "owner", 4, 1)
    await store.call("HSET", ScaleKeys.SUPERVISORS, "dead", state.to_json(), "odd", b"\xff{")
    with pytest.raises(ActuationFailed, match="narrows supervise"):
        await LocalServers(store).scale(1, _SEEN, token=1)
    assert await store.call("HGETALL", ScaleKeys.WANTED) == []


async def test_redis_is_away() -> None:
    servers = LocalServers(Store.connect("redis://127.0.0.1:1/0"))
    with pytest.raises(ActuationFailed, match="Redis is away"):
        await servers.observe()


async def test_a_host_whose_servers_do_not_start_says_so_when_it_shall_grow(store: Store) -> None:
    await says(store, "a", slots=4, trouble="no space left on device")
    servers = LocalServers(store)
    with pytest.raises(ActuationFailed, match="no space left"):
        await servers.scale(2, _SEEN, token=1)
    assert (await wanted(store, "a")).target == 2, "it was told all the same: the trouble may pass"
    await servers.scale(1, _SEEN, token=1)


async def test_a_smaller_token_is_refused_whoever_wrote_last(store: Store) -> None:
    await says(store, "a", slots=4)
    servers = LocalServers(store)
    await servers.scale(2, _SEEN, token=8)
    with pytest.raises(StaleLeader, match=r"8 was here before ours, 7"):
        await servers.scale(4, _SEEN, token=7)
    assert await wanted(store, "a") == WantedServers(2, 8)


async def test_a_newer_leader_that_did_nothing_yet_counts_too(store: Store) -> None:
    await says(store, "a", slots=4)
    old, new = Leadership(store, "old"), Leadership(store, "new")
    token = await old.hold()
    await old.leave()
    assert token is not None
    assert await new.hold() is not None
    with pytest.raises(StaleLeader):
        await LocalServers(store).scale(4, _SEEN, token)


async def test_a_record_that_nobody_can_read_is_written_anew(store: Store) -> None:
    await says(store, "a", slots=4)
    await store.call("HSET", ScaleKeys.WANTED, "a", b"{broken")
    await LocalServers(store).scale(2, _SEEN, token=1)
    assert await wanted(store, "a") == WantedServers(2, 1)


async def test_a_paused_leader_that_acts_when_it_wakes_is_refused(server: LocalRedis, store: Store) -> None:
    await says(store, "a", slots=4)
    with child(server.url) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert int(process.stdout.readline()) > 0
        os.kill(process.pid, signal.SIGSTOP)
        successor = Leadership(store, "next")
        token = None
        while token is None:  # until the lease of the paused one has lapsed
            token = await successor.hold()
            await asyncio.sleep(0.2)
        await says(store, "a", slots=4)
        await LocalServers(store).scale(2, _SEEN, token)
        os.kill(process.pid, signal.SIGCONT)
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline().strip() == "stale"
    assert await wanted(store, "a") == WantedServers(2, token)
