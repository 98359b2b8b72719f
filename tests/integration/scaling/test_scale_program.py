"""`narrows autoscale` as processes: who leads, what a killed or paused leader leaves behind, and the operator's word.

The engine is the local one. Its host is a record that a test keeps fresh: what is wanted of it is what was done.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
import urllib.request
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from pathlib import Path

import pytest

from narrows.contract.records.report import DispatcherReport
from narrows.contract.wire.keys import ScaleKeys
from narrows.runtime.redis.store import Store
from orchestrator.scaling.leader import TTL_MS
from orchestrator.servers import LocalRedis
from orchestrator.servers.host_record import HostState, WantedServers
from orchestrator.servers.ports import free_ports
from tests.integration.scaling.scale_rig import decisions, narrows, program, scaling, status, until

QUICK = ("--engine", "local", "--interval", "0.3", "--stabilisation-s", "0", "--max-servers", "6")


@pytest.fixture
async def store(server: LocalRedis) -> AsyncIterator[Store]:
    store = Store.connect(server.url)
    await store.call("FLUSHALL")
    yield store
    await store.close()


class Host:
    """A supervisor's record, kept fresh, that has at once what is wanted of it; and a dispatcher without streams."""

    def __init__(self, store: Store, slots: int = 4) -> None:
        self._store, self._slots = store, slots
        self.targets: list[int] = []

    async def wanted(self) -> WantedServers:
        record = await self._store.call("HGET", ScaleKeys.WANTED, "host")
        return WantedServers(1, 0) if record is None else WantedServers.parse(record)

    async def run(self) -> None:
        while True:
            target = (await self.wanted()).target
            if self.targets[-1:] != [target]:
                self.targets.append(target)
            now_ms = int(await self._store.time_ms())
            state = HostState(now_ms, "test", self._slots, target, ready=target)
            await self._store.call("HSET", ScaleKeys.SUPERVISORS, "host", state.to_json())
            await self._store.call("HSET", ScaleKeys.REPORTS, "d", DispatcherReport("d", now_ms, streams=1).to_json())
            await asyncio.sleep(0.1)


@pytest.fixture
async def host(store: Store) -> AsyncIterator[Host]:
    host = Host(store)
    running = asyncio.create_task(host.run())
    yield host
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@asynccontextmanager
async def autoscalers(server: LocalRedis, log: Path, count: int = 1, *options: str) -> AsyncIterator[list[int]]:
    """So many, with their HTTP on free ports; yields process ids. Ended without blocking the test's loop."""
    stack = ExitStack()
    try:
        ports = free_ports(count)
        processes = [
            stack.enter_context(
                program(log, "autoscale", "--redis-url", server.url, *QUICK, "--http", f"127.0.0.1:{port}", *options)
            )
            for port in ports
        ]
        yield [process.pid for process in processes]
    finally:
        await asyncio.to_thread(stack.close)


def pid_of(leader: str) -> int:
    """The process id in a leader's name, ``HOST-PID-RANDOM``."""
    return int(leader.rsplit("-", 2)[1])


async def leader(store: Store) -> int | None:
    """The process id of who leads."""
    lease = await store.call("GET", ScaleKeys.LEADER)
    return None if lease is None else pid_of(lease.decode())


async def led(store: Store) -> int:
    """Wait until somebody leads and has said how things stand."""

    async def there() -> bool:
        return await leader(store) is not None and await status(store) is not None

    await until(there, lambda: scaling(store))
    found = await leader(store)
    assert found is not None
    return found


async def ordered(server: LocalRedis, *arguments: str) -> None:
    """`narrows scale ...`, beside the test's loop."""
    result = await asyncio.to_thread(narrows, "scale", *arguments, "--redis-url", server.url)
    assert result.returncode == 0, result.stderr


async def has(store: Store, host: Host, servers: int) -> None:
    """Wait until so many are wanted of the host."""

    async def there() -> bool:
        return (await host.wanted()).target == servers

    await until(there, lambda: scaling(store))


async def test_a_killed_leader_is_followed_once_its_lease_lapses(
    server: LocalRedis, store: Store, host: Host, tmp_path: Path
) -> None:
    async with autoscalers(server, tmp_path / "log", 2) as pids:
        first = await led(store)
        assert first in pids
        os.kill(first, signal.SIGKILL)
        left_ms = await store.call("PTTL", ScaleKeys.LEADER)

        async def followed() -> bool:
            return await leader(store) not in {None, first}

        await until(followed, lambda: scaling(store))
        await ordered(server, "set", "3")
        await has(store, host, 3)
    assert 0 < left_ms <= TTL_MS, "Redis ends its lead by then"


async def test_a_leader_that_ends_gives_the_lead_away_at_once(
    server: LocalRedis, store: Store, host: Host, tmp_path: Path
) -> None:
    async with autoscalers(server, tmp_path / "log", 2):
        first = await led(store)
        os.kill(first, signal.SIGTERM)

        async def followed() -> bool:
            return await leader(store) not in {None, first}

        await until(followed, lambda: scaling(store))
        log = (tmp_path / "log").read_text()
    assert "level=info event=autoscaler_stopped" in log
    assert "Traceback" not in log


async def test_what_a_paused_leader_does_when_it_wakes_is_refused_or_reversed(
    server: LocalRedis, store: Store, host: Host, tmp_path: Path
) -> None:
    """It is paused for longer than its lease; meanwhile the next leader is told to have two."""
    async with autoscalers(server, tmp_path / "log", 2) as pids:
        first = await led(store)
        os.kill(first, signal.SIGSTOP)
        try:

            async def followed() -> bool:
                return await leader(store) in set(pids) - {first}

            asked_s, left_ms = time.monotonic(), await store.call("PTTL", ScaleKeys.LEADER)
            await until(followed, lambda: scaling(store))
            assert (time.monotonic() - asked_s) * 1000 >= left_ms, "not before its lease lapsed"
            await ordered(server, "set", "2")
            await has(store, host, 2)
        finally:
            os.kill(first, signal.SIGCONT)
        await asyncio.sleep(3.0)
        assert (await host.wanted()).target == 2
        assert host.targets == [1, 2], "nothing else was ever wanted"
        # Whatever else lands, a hand's or a stale leader's, lasts until the next look.
        wanted = await host.wanted()
        await store.call("HSET", ScaleKeys.WANTED, "host", WantedServers(4, wanted.token).to_json())
        await has(store, host, 2)


async def test_the_operators_word_from_end_to_end(server: LocalRedis, store: Store, host: Host, tmp_path: Path) -> None:
    async with autoscalers(server, tmp_path / "log"):
        await led(store)
        await ordered(server, "set", "3", "--by", "ada")
        await has(store, host, 3)
        await ordered(server, "freeze", "--by", "ada")

        async def frozen() -> bool:
            now = await status(store)
            return now is not None and now.frozen and now.reasons == ("frozen",)

        await until(frozen, lambda: scaling(store))
        await ordered(server, "set", "1", "--by", "ada")
        await asyncio.sleep(1.5)
        assert (await host.wanted()).target == 3, "frozen: nothing is changed"
        await ordered(server, "unfreeze", "--by", "ada")
        await has(store, host, 1)
        await ordered(server, "set", "9")

        async def exhausted() -> bool:
            now = await status(store)
            return now is not None and now.capacity_exhausted

        await until(exhausted, lambda: scaling(store))
        assert (await host.wanted()).target == 4, "as many as there are slots"
        shown = await asyncio.to_thread(narrows, "scale", "status", "--redis-url", server.url)
        assert "CAPACITY EXHAUSTED" in shown.stdout
        assert "ORDERED 9" in shown.stdout
        record = json.loads(
            (await asyncio.to_thread(narrows, "scale", "status", "--json", "--redis-url", server.url)).stdout
        )
    assert record["status"]["wanted"] == 4
    assert record["order"]["servers"] == 9
    actions = [(each.action, each.servers, each.reasons[0]) for each in await decisions(store)]
    for expected in (
        ("scale_up", 3, "manual"),
        ("keep", 3, "frozen"),
        ("scale_down", 1, "manual"),
        ("scale_up", 4, "manual"),
    ):
        assert expected in actions


async def test_dry_run_decides_and_changes_nothing(
    server: LocalRedis, store: Store, host: Host, tmp_path: Path
) -> None:
    async with autoscalers(server, tmp_path / "log", 1, "--dry-run"):
        await led(store)
        await ordered(server, "set", "3")

        async def decided() -> bool:
            return any(each.servers == 3 and each.dry_run for each in await decisions(store))

        await until(decided, lambda: scaling(store))
        await asyncio.sleep(1.0)
    assert host.targets == [1]


async def test_metrics_and_probes_say_who_leads_and_why(
    server: LocalRedis, store: Store, host: Host, tmp_path: Path
) -> None:
    ports = free_ports(2)
    async with AsyncExitStack() as stack:
        for port in ports:
            await stack.enter_async_context(autoscalers(server, tmp_path / "log", 1, "--http", f"127.0.0.1:{port}"))
        await led(store)
        await ordered(server, "set", "3")
        await has(store, host, 3)

        async def both_look() -> bool:
            return all([(await get(port, "/readyz"))[0] == 200 for port in ports])

        await until(both_look, lambda: scaling(store))
        texts = [(await get(port, "/metrics"))[1] for port in ports]
        texts.sort(key=lambda text: "narrows_scale_leader 1.0" in text)
    standby, leading = texts
    assert "narrows_scale_leader 0.0" in standby
    assert "narrows_scale_servers_wanted NaN" in standby
    assert "narrows_scale_leader 1.0" in leading
    assert "narrows_scale_servers_wanted 3.0" in leading
    assert 'narrows_scale_decisions_total{action="scale_up",reason="manual"} 1.0' in leading
    assert "narrows_scale_capacity_exhausted 0.0" in leading


async def get(port: int, path: str) -> tuple[int, str]:
    def ask() -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as response:
                return response.status, response.read().decode()
        except OSError as error:
            return 0, str(error)

    return await asyncio.to_thread(ask)


async def test_while_redis_is_away_nothing_changes_and_then_it_goes_on(tmp_path: Path) -> None:
    port = free_ports(1)[0]
    with LocalRedis.start(tmp_path) as redis:
        store = Store.connect(redis.url)
        host = Host(store)
        async with autoscalers(redis, tmp_path / "log", 1, "--http", f"127.0.0.1:{port}"):
            running = asyncio.create_task(host.run())
            await led(store)
            await ordered(redis, "set", "2")
            await has(store, host, 2)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await asyncio.to_thread(redis.stop)

            async def says_so() -> bool:
                code, _ = await get(port, "/readyz")
                return code != 200 and 'rounds_total{outcome="redis"}' in (await get(port, "/metrics"))[1]

            await until(says_so, lambda: get(port, "/metrics"))
            await asyncio.to_thread(redis.restart)
            running = asyncio.create_task(host.run())
            await ordered(redis, "set", "3")
            await has(store, host, 3)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        await store.close()
    assert host.targets in ([1, 2], [1, 2, 3]), "it may have been ended before it saw the last"
    assert "Traceback" not in (tmp_path / "log").read_text()
