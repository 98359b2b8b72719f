"""A pool over servers that the test lets die, fail, drain, come and go."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import numpy as np
import pytest

from narrows.contract.errors import InferenceFailed, ServiceError
from narrows.runtime.loop_guard import LoopGuard
from orchestrator.discovery.address import Address
from orchestrator.discovery.service_discovery import ServiceDiscovery
from orchestrator.discovery.sources import parse_sources
from orchestrator.inference.contract import Batch, Inputs, ServedOutput, ServerLost, Slot, lent
from orchestrator.inference.cost import BatchTotals
from orchestrator.inference.pool import NoServer, ServerPool
from orchestrator.inference.triton_model import ModelMissing
from orchestrator.telemetry.faults import Cause


@dataclass
class Server:
    """One server: ``trouble`` fails what it is asked; with ``held`` batches wait until the test lets them go."""

    trouble: Exception | None = None
    connects: int = 0
    closed: int = 0
    batches: int = 0
    lent: int = 0
    free: asyncio.Event = field(default_factory=asyncio.Event)
    going: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.going.set()
        self.free.set()

    def refuse_connections(self) -> None:
        if isinstance(self.trouble, ServiceError):
            raise self.trouble


class OnServer:
    """The decoder on one server."""

    max_batch = 4
    served: tuple[ServedOutput, ...] = ()
    heads_differ = False

    def __init__(self, server: Server) -> None:
        self.server, self.closed = server, False
        self.inputs: Inputs = {"symbols": np.zeros((4, 1, 2, 2), np.int8), "level": np.zeros((4, 1), np.int32)}

    async def lend(self) -> "OnServer":
        await self.server.free.wait()
        self.server.lent += 1
        return self

    def give_back(self, slot: Slot) -> None:
        assert slot is self
        self.server.lent -= 1

    async def run(self, n: int) -> Batch:
        await self.server.going.wait()
        if self.server.trouble is not None:
            raise self.server.trouble
        self.server.batches += 1
        return (np.zeros((n, 2, 2), np.uint8),)

    async def ready(self) -> bool:
        if self.closed:
            raise ZeroDivisionError
        return self.server.trouble is None

    async def instances(self) -> int:
        return 1

    async def batch_totals(self) -> dict[int, BatchTotals]:
        return {}

    async def close(self) -> None:
        self.closed = True
        self.server.closed += 1


class Fleet:
    """Servers behind one name, and a pool over them."""

    def __init__(self, *hosts: str) -> None:
        self.servers = {f"{host}:1": Server() for host in hosts}
        self.told: list[tuple[Cause, str]] = []
        self.crashed: list[str] = []
        self.service_discovery = ServiceDiscovery(parse_sources(["fleet:1"]), resolver=self._resolve)

    async def _resolve(self, _name: Address) -> frozenset[str]:
        return frozenset(self.servers)

    async def look(self) -> None:
        await self.service_discovery.look_up(Address("fleet", 1))

    async def connect(self, address: str) -> OnServer:
        server = self.servers[address]
        server.connects += 1
        server.refuse_connections()
        return OnServer(server)

    @asynccontextmanager
    async def pool(self) -> AsyncIterator[ServerPool]:
        await self.look()
        pool = ServerPool(
            self.service_discovery,
            self.connect,
            max_batch=4,
            slots=3,
            report=lambda *fault: self.told.append(fault),
            guard=LoopGuard(self.crashed.append),
        )
        try:
            yield pool
        finally:
            await pool.close()


async def run_one(pool: ServerPool, frames: int = 1) -> None:
    async with lent(pool) as slot:
        await slot.run(frames)


async def run_patiently(pool: ServerPool) -> int:
    """A batch, as a batcher sends it: again at once when its server is lost. Answers how often that was."""
    for retries in range(9):
        try:
            await run_one(pool)
        except ServerLost:
            continue
        return retries
    pytest.fail("no server answers")


async def until(state: Callable[[], bool]) -> None:
    for _ in range(2000):
        if state():
            return
        await asyncio.sleep(0.01)
    pytest.fail("it never came true")


async def test_batches_go_in_turn_to_idle_servers_and_past_busy_ones() -> None:
    fleet = Fleet("a", "b")
    async with fleet.pool() as pool:
        await until(lambda: len(pool.rotation) == 2)
        for _ in range(10):
            await run_one(pool)
        assert [server.batches for server in fleet.servers.values()] == [5, 5]
        fleet.servers["a:1"].going.clear()
        held = asyncio.create_task(run_one(pool))
        if not pool.servers()["a:1"].outstanding:
            await asyncio.sleep(0)
        held_too = asyncio.create_task(run_one(pool))
        await until(lambda: pool.servers()["a:1"].outstanding > 0)
        for _ in range(5):
            await run_one(pool)
        assert fleet.servers["b:1"].batches >= 10
        fleet.servers["a:1"].going.set()
        await asyncio.gather(held, held_too)
        assert not any(server.outstanding for server in pool.servers().values())


async def test_more_batches_than_fit_wait_until_one_is_done() -> None:
    fleet = Fleet("a")
    async with fleet.pool() as pool:
        await run_one(pool)
        fleet.servers["a:1"].going.clear()
        batches = [asyncio.create_task(run_one(pool, 2)) for _ in range(5)]
        await until(lambda: pool.servers()["a:1"].outstanding == 4)  # one more batch than instances
        fleet.servers["a:1"].going.set()
        await asyncio.gather(*batches)
        assert pool.servers()["a:1"].frames == 11


async def test_a_slot_goes_back_to_its_server_once_and_a_wait_for_one_that_is_given_up_holds_nothing() -> None:
    fleet = Fleet("a")
    server = fleet.servers["a:1"]
    async with fleet.pool() as pool:
        slot = await pool.lend()
        assert server.lent == 1
        pool.give_back(slot)
        assert server.lent == 0
        with pytest.raises(KeyError):
            pool.give_back(slot)
        server.free.clear()
        waiting = asyncio.create_task(pool.lend())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        connection = pool.rotation[0].connection
        assert connection is not None
        assert connection.lent == 0


async def test_a_dead_server_costs_one_retry_is_told_once_and_comes_back() -> None:
    fleet = Fleet("a", "b")
    async with fleet.pool() as pool:
        await until(lambda: len(pool.rotation) == 2)
        fleet.servers["a:1"].trouble = ServiceError("a is dead")
        assert sum([await run_patiently(pool) for _ in range(10)]) == 1
        assert fleet.told == [(Cause.TRITON_SERVER_LOST, "a is dead")]
        assert pool.servers()["a:1"].ejected
        assert pool.servers()["a:1"].failures == 1
        await until(lambda: fleet.servers["a:1"].connects >= 4)
        assert len(fleet.told) == 1
        fleet.servers["a:1"].trouble = None
        await until(lambda: len(pool.rotation) == 2)
        before = fleet.servers["a:1"].batches
        for _ in range(4):
            await run_one(pool)
        assert fleet.servers["a:1"].batches == before + 2


async def test_with_no_server_left_it_says_why_and_nobody_is_told_of_a_single_loss() -> None:
    fleet = Fleet("a")
    async with fleet.pool() as pool:
        await run_one(pool)
        fleet.servers["a:1"].trouble = ServiceError("a is dead")
        with pytest.raises(ServerLost):
            await run_one(pool)
        with pytest.raises(NoServer, match="a is dead"):
            await run_one(pool)
        assert fleet.told == []
        assert not await pool.ready()


async def test_servers_without_the_model_are_named_as_that() -> None:
    fleet = Fleet("a", "b")
    for server in fleet.servers.values():
        server.trouble = ModelMissing("no decoder here")
    async with fleet.pool() as pool:
        with pytest.raises(ModelMissing, match="no decoder here; no decoder here"):
            await run_one(pool)


async def test_without_any_server_it_says_where_it_looked() -> None:
    async with Fleet().pool() as pool:
        with pytest.raises(NoServer, match="fleet:1"):
            await run_one(pool)


async def test_the_first_answer_of_a_name_is_waited_for_rather_than_called_a_fault() -> None:
    fleet = Fleet()
    pool = ServerPool(fleet.service_discovery, fleet.connect, max_batch=4, slots=3)
    batch = asyncio.create_task(run_one(pool))
    await asyncio.sleep(0.05)
    assert not batch.done()
    fleet.servers["a:1"] = Server()
    await fleet.look()
    await batch
    await pool.close()


async def test_a_draining_server_ends_what_it_has_and_is_let_go_and_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    fleet = Fleet("a", "b")
    async with fleet.pool() as pool:
        await until(lambda: len(pool.rotation) == 2)
        fleet.servers["a:1"].going.clear()
        held = [asyncio.create_task(run_one(pool)) for _ in range(2)]
        await until(lambda: pool.servers()["a:1"].outstanding == 1)
        monkeypatch.setattr(fleet.service_discovery, "draining", frozenset({"a:1"}))
        for told in fleet.service_discovery._followers:
            told()
        for _ in range(5):
            await run_one(pool)
        assert pool.servers()["a:1"].draining
        assert fleet.servers["a:1"].closed == 0
        fleet.servers["a:1"].going.set()
        await asyncio.gather(*held)
        await until(lambda: fleet.servers["a:1"].closed == 1)
        assert fleet.servers["a:1"].batches == 1
        monkeypatch.setattr(fleet.service_discovery, "draining", frozenset())
        for told in fleet.service_discovery._followers:
            told()
        await until(lambda: len(pool.rotation) == 2)


async def test_servers_come_and_go_with_the_service_discovery() -> None:
    fleet = Fleet("a")
    async with fleet.pool() as pool:
        await run_one(pool)
        gone = fleet.servers.pop("a:1")
        fleet.servers["b:1"] = Server()
        await fleet.look()
        await run_one(pool)
        assert list(pool.servers()) == ["b:1"]
        assert fleet.servers["b:1"].batches == 1
        await until(lambda: gone.closed == 1)


async def test_a_server_that_fails_every_batch_is_left_alone_while_another_does_them() -> None:
    fleet = Fleet("a", "b")
    async with fleet.pool() as pool:
        await until(lambda: len(pool.rotation) == 2)
        for _ in range(4):
            await run_one(pool)
        fleet.servers["a:1"].trouble = InferenceFailed("out of memory")
        failed = 0
        for _ in range(50):
            try:
                await run_one(pool)
            except InferenceFailed:
                failed += 1
        assert failed == 1  # then it is in doubt, and the other has room
        assert not pool.servers()["a:1"].ejected
        fleet.servers["b:1"].going.clear()
        held = [asyncio.create_task(run_one(pool)) for _ in range(2)]
        await until(lambda: pool.servers()["b:1"].outstanding == 2)
        for _ in range(4):
            with pytest.raises(InferenceFailed):
                await run_one(pool)
        assert pool.servers()["a:1"].ejected
        assert [cause for cause, _ in fleet.told] == [Cause.TRITON_SERVER_LOST]
        fleet.servers["b:1"].going.set()
        await asyncio.gather(*held)


async def test_the_last_server_is_kept_however_often_it_fails_frames() -> None:
    fleet = Fleet("a")
    async with fleet.pool() as pool:
        await run_one(pool)
        fleet.servers["a:1"].trouble = InferenceFailed("a bad frame")
        for _ in range(20):
            with pytest.raises(InferenceFailed):
                await run_one(pool)
        assert await pool.ready()


async def test_a_server_that_dies_idle_is_found_out() -> None:
    fleet = Fleet("a")
    async with fleet.pool() as pool:
        await run_one(pool)
        fleet.servers["a:1"].trouble = ServiceError("a is dead")
        await until(lambda: pool.servers()["a:1"].ejected)
        assert pool.servers()["a:1"].failures == 0


async def test_what_a_connection_answers_or_fails_after_it_was_given_up_says_nothing_of_the_next() -> None:
    fleet = Fleet("a", "b")
    async with fleet.pool() as pool:
        await until(lambda: len(pool.rotation) == 2)
        for _ in range(4):
            await run_one(pool)
        a = fleet.servers["a:1"]
        a.going.clear()
        late = [asyncio.create_task(run_one(pool)) for _ in range(3)]
        await until(lambda: pool.servers()["a:1"].outstanding >= 1)
        a.trouble = ServiceError("a does not get ready")
        await until(lambda: pool.servers()["a:1"].ejected)
        a.trouble = None
        await until(lambda: pool.servers()["a:1"].ready)
        a.trouble = ServiceError("an answer of long ago")
        a.going.set()
        answers = await asyncio.gather(*late, return_exceptions=True)
        assert any(isinstance(answer, ServerLost) for answer in answers)
        assert pool.servers()["a:1"].ready
        a.trouble = None


async def test_closing_waits_for_no_batch_and_lets_every_server_go() -> None:
    fleet = Fleet("a", "b")
    async with fleet.pool() as pool:
        await until(lambda: len(pool.rotation) == 2)
        fleet.servers["a:1"].going.clear()
        held = [asyncio.create_task(run_one(pool)) for _ in range(2)]
        await until(lambda: pool.servers()["a:1"].outstanding == 1)
    assert [server.closed for server in fleet.servers.values()] == [1, 1]
    for each in held:
        each.cancel()
    await asyncio.gather(*held, return_exceptions=True)


async def test_an_unforeseen_error_at_one_server_is_counted_and_its_neighbours_work() -> None:
    fleet = Fleet("a", "b")
    crashes = [ZeroDivisionError()]

    def crash_once() -> None:
        if crashes:
            raise crashes.pop()

    fleet.servers["a:1"].refuse_connections = crash_once  # type: ignore[method-assign]
    async with fleet.pool() as pool:
        await until(lambda: pool.servers()["b:1"].ready)
        await run_one(pool)
        assert fleet.crashed == ["servers"]
        await until(lambda: pool.servers()["a:1"].ready)


async def test_a_connection_that_was_exchanged_while_it_was_idle_is_asked_nothing_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("orchestrator.inference.pool._LOOK_S", 0.01)
    fleet, looks = Fleet("a"), 3
    async with fleet.pool() as pool:
        await until(lambda: pool.servers()["a:1"].ready)
        for exchanged in range(1, looks + 1):
            pool.renew()
            await until(lambda exchanged=exchanged: fleet.servers["a:1"].closed == exchanged)  # type: ignore[misc]
            await asyncio.sleep(0.03)
        assert fleet.crashed == []
        assert fleet.servers["a:1"].connects == looks + 1
    assert fleet.servers["a:1"].closed == looks + 1


async def test_who_keeps_a_server_and_crashes_goes_on_with_the_connection_that_there_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("orchestrator.inference.pool._LOOK_S", 0.01)
    monkeypatch.setattr("narrows.runtime.loop_guard._FIRST_S", 0.01)
    fleet, crashes = Fleet("a"), [ZeroDivisionError()]

    async def crash_once(self: OnServer) -> bool:
        if crashes:
            raise crashes.pop()
        return True

    monkeypatch.setattr(OnServer, "ready", crash_once)
    async with fleet.pool() as pool:
        await until(lambda: fleet.crashed == ["servers"])
        await asyncio.sleep(0.1)
        await run_one(pool)
    server = fleet.servers["a:1"]
    assert (server.connects, server.closed) == (1, 1)
