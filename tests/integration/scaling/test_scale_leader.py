"""One autoscaler leads; a killed one is followed, a paused one knows."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from itertools import takewhile

import pytest

from narrows.contract.wire.keys import ScaleKeys
from narrows.runtime.redis.store import Store
from orchestrator.scaling.leader import TTL_MS, Leadership
from orchestrator.servers import LocalRedis

_LEADS = """
import asyncio, sys
from orchestrator.scaling.leader import Leadership
from narrows.runtime.redis.store import Store

async def lead():
    leadership = Leadership(Store.connect(sys.argv[1]), "child")
    while True:
        print(await leadership.hold(), flush=True)
        await asyncio.sleep(0.2)

asyncio.run(lead())
"""


@pytest.fixture
async def store(server: LocalRedis) -> AsyncIterator[Store]:
    store = Store.connect(server.url)
    await store.call("FLUSHALL")
    yield store
    await store.close()


@contextmanager
def leading(url: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A process that leads, and its token."""
    with subprocess.Popen([sys.executable, "-c", _LEADS, url], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process, int(process.stdout.readline())
        finally:
            process.kill()


async def led(leadership: Leadership) -> int:
    """Wait until it leads; its token."""
    async with asyncio.timeout(60):
        while (token := await leadership.hold()) is None:  # noqa: ASYNC110 - the lease lapses in Redis
            await asyncio.sleep(0.2)
    return token


async def test_one_leads_and_keeps_its_token(store: Store) -> None:
    first, second = Leadership(store, "first"), Leadership(store, "second")
    token = await first.hold()
    assert token is not None
    assert await first.hold() == token == first.token
    assert await second.hold() is None


async def test_tokens_grow_from_leader_to_leader(store: Store) -> None:
    tokens: list[int] = []
    for name in "abc":
        leadership = Leadership(store, name)
        tokens.append(await leadership.hold() or 0)
        await leadership.leave()
        assert leadership.token is None
    assert 0 not in tokens
    assert tokens == sorted(set(tokens))
    assert int(await store.call("GET", ScaleKeys.FENCE)) == tokens[-1]


async def test_a_killed_leader_is_followed_within_its_lease(server: LocalRedis, store: Store) -> None:
    with leading(server.url) as (process, token):
        assert await Leadership(store, "next").hold() is None
        process.kill()
        left_ms = await store.call("PTTL", ScaleKeys.LEADER)
        newer = await led(Leadership(store, "next"))
    assert newer > token
    assert TTL_MS == 5_000
    assert 0 < left_ms <= TTL_MS, "Redis ends its lead by then"


async def test_a_paused_leader_neither_keeps_nor_regains_its_lead(server: LocalRedis, store: Store) -> None:
    with leading(server.url) as (process, token):
        os.kill(process.pid, signal.SIGSTOP)
        newer = await led(successor := Leadership(store, "next"))
        os.kill(process.pid, signal.SIGCONT)
        assert process.stdout is not None
        before = list(takewhile(lambda answer: answer != "None", map(str.strip, process.stdout)))
        after = [process.stdout.readline().strip() for _ in range(3)]
    assert set(before) <= {str(token)}
    assert after == ["None"] * 3
    assert await successor.hold() == newer > token


async def test_a_leader_knows_by_its_own_clock_without_asking(store: Store) -> None:
    now_s = 100.0
    leadership = Leadership(store, "slow", monotonic=lambda: now_s)
    token = await leadership.hold()
    now_s += TTL_MS / 1000 - 0.001
    assert leadership.token == token
    now_s += 0.002
    assert leadership.token is None
    assert await leadership.hold() == token, "nobody took it meanwhile, so it goes on"


async def test_leaving_late_does_not_take_the_lead_from_the_next(store: Store) -> None:
    old, new = Leadership(store, "same-name"), Leadership(store, "same-name")
    await old.hold()
    await store.call("DEL", ScaleKeys.LEADER)  # it lapsed
    token = await new.hold()
    await old.leave()
    assert await new.hold() == token is not None
