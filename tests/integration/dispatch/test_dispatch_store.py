"""The store against a real Redis: a cancelled caller ends, and a silent server is said to be away."""

import asyncio
import os
import signal

import pytest

from narrows.runtime.redis import server as server_module
from narrows.runtime.redis.store import Store, StoreAway
from orchestrator.servers import LocalRedis


async def asks_on(store: Store) -> None:
    """As the loops of every program do."""
    while True:
        await store.call("PING")


async def test_a_cancelled_caller_ends_wherever_it_was_in_a_command(store: Store) -> None:
    for steps in range(100):
        await store.call("PING")  # a connection is there: all steps are of commands
        asking = asyncio.create_task(asks_on(store))
        for _ in range(steps):
            await asyncio.sleep(0)
        asking.cancel()
        done, _ = await asyncio.wait([asking], timeout=5)
        assert done, f"it goes on asking though it was cancelled after {steps} steps"


async def test_a_command_that_was_cancelled_leaves_its_reply_to_nobody(store: Store) -> None:
    for steps in range(20):
        asking = asyncio.create_task(store.call("ECHO", "of the cancelled one"))
        for _ in range(steps):
            await asyncio.sleep(0)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        assert await store.call("ECHO", "ours") == b"ours"


async def test_a_server_that_is_silent_is_away(
    store: Store, server: LocalRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "_REPLY_TIMEOUT_S", 0.2)
    await store.call("PING")
    os.kill(server.pid, signal.SIGSTOP)
    try:
        with pytest.raises(StoreAway, match="gave no answer"):
            await store.call("PING")  # on the connection that is there
        with pytest.raises(StoreAway, match="gave no answer"):
            await store.call("PING")  # on a new one: the kernel takes it, nobody greets
    finally:
        os.kill(server.pid, signal.SIGCONT)
    assert await store.call("ECHO", "ours") == b"ours"
