"""Fault injections. Each answers the moment, on the monotonic clock, at which its part was there again."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

from redis import RedisError
from tritonclient.grpc import InferenceServerClient
from tritonclient.utils import InferenceServerException

from benchmarks.chaos.parts import SHARDS, DispatcherProcess, Parts
from narrows.contract.errors import ServiceError
from narrows.runtime.direct import GRPC_DIRECT
from orchestrator.dispatch import Store
from orchestrator.inference.region import FOLDER
from orchestrator.servers.ports import free_ports
from orchestrator.telemetry.faults import Cause

LEASE_S = 3.0
_FROZEN_S = 1.0
_BACK_S = 300.0
"""An end to waiting on a machine that is busy; no promise."""
_END_S = 30.0  # Kubernetes' default terminationGracePeriodSeconds
_PTRACE_SEIZE, _PTRACE_INTERRUPT, _WALL = 0x4206, 0x4207, 0x40000000


class Struck(StrEnum):
    """What a fault is injected into."""

    REDIS = "redis"
    TRITON = "triton"
    DISPATCHER = "dispatcher"
    NODE = "node"


@dataclass(frozen=True)
class Injection:
    """One of them.

    Attributes:
        strike: does it to the part of this number, of its kind.
        struck: the kind.
        causes: by which names dispatchers may call it.
    """

    strike: Callable[[Parts, int], Awaitable[float]]
    struck: Struck
    causes: tuple[Cause, ...] = ()


def how_many(parts: Parts, struck: Struck) -> int:
    """Parts of a kind; nodes of a cluster go by the shard that they serve."""
    return {
        Struck.REDIS: 1,
        Struck.TRITON: len(parts.tritons),
        Struck.DISPATCHER: len(parts.dispatchers),
        Struck.NODE: SHARDS,
    }[struck]


async def kill_triton(parts: Parts, which: int) -> float:
    """SIGKILL; its keeper starts it again."""
    keeper, restarts = parts.triton_keepers[which], parts.triton_keepers[which].restarts
    os.kill(parts.tritons[which].pid, signal.SIGKILL)
    return await until(lambda: keeper.restarts > restarts)


async def freeze_triton(parts: Parts, which: int) -> float:
    """SIGSTOP until a dispatcher notices, and a while longer."""
    told = _told(parts, *_FROZEN)
    os.kill(parts.tritons[which].pid, signal.SIGSTOP)
    await until(lambda: _told(parts, *_FROZEN) > told)
    await asyncio.sleep(_FROZEN_S)
    os.kill(parts.tritons[which].pid, signal.SIGCONT)
    return time.monotonic()


async def kill_stub(parts: Parts, which: int) -> float:
    """SIGKILL of the process that computes: the model stays READY, its requests fail."""
    return await _lose_stub(parts, which, lambda stub: os.kill(stub, signal.SIGKILL))


async def freeze_stub(parts: Parts, which: int) -> float:
    """SIGSTOP of the process that computes: its heart stops beating."""
    return await _lose_stub(parts, which, lambda stub: os.kill(stub, signal.SIGSTOP))


async def hang_stub(parts: Parts, which: int) -> float:
    """The thread that computes stops, the one that beats goes on: Triton calls the process healthy."""
    return await _lose_stub(parts, which, _stop_main_thread)


async def lose_regions(parts: Parts, which: int) -> float:
    """The server forgets the shared memory that is not in use at this moment, and its names vanish."""
    await asyncio.to_thread(_forget_regions, parts.tritons[which].grpc_address)
    return time.monotonic()


async def kill_redis(parts: Parts, _which: int) -> float:
    """SIGKILL; its keeper starts it again with its append-only file."""
    restarts = parts.redis_keeper.restarts
    os.kill(parts.redis.pid, signal.SIGKILL)
    return await until(lambda: parts.redis_keeper.restarts > restarts)


async def make_redis_read_only(parts: Parts, _which: int) -> float:
    """Redis becomes a replica, as in a failover, and a master again after longer than a lease."""
    return await _commands(parts, ("REPLICAOF", "127.0.0.1", free_ports(1)[0]), ("REPLICAOF", "NO", "ONE"))


async def fill_redis(parts: Parts, _which: int) -> float:
    """Redis takes no more writes for want of memory, longer than a lease."""
    return await _commands(parts, ("CONFIG", "SET", "maxmemory", "1mb"), ("CONFIG", "SET", "maxmemory", "0"))


async def freeze_dispatcher(parts: Parts, which: int) -> float:
    """SIGSTOP past the lease; another takes over, then it thaws."""
    pid = parts.dispatchers[which].process.pid
    os.kill(pid, signal.SIGSTOP)
    await asyncio.sleep(LEASE_S + 2)
    os.kill(pid, signal.SIGCONT)
    return time.monotonic()


async def kill_dispatcher(parts: Parts, which: int) -> float:
    """SIGKILL; its keeper starts it again."""
    return await _end_dispatcher(parts.dispatchers[which], signal.SIGKILL)


async def end_dispatcher(parts: Parts, which: int) -> float:
    """SIGTERM, as in a rolling update; one that takes longer to end than a platform waits is an error."""
    return await _end_dispatcher(parts.dispatchers[which], signal.SIGTERM)


# Whoever is quicker names a stub that is lost: Triton, or the dispatcher whose answer is overdue.
_STUB = (Cause.TRITON_INSTANCE_LOST, Cause.TRITON_HUNG)
_FROZEN = (Cause.TRITON_HUNG, Cause.TRITON_SERVER_LOST)

INJECTIONS: Mapping[str, Injection] = {
    "triton killed": Injection(kill_triton, Struck.TRITON, (Cause.TRITON_AWAY,)),
    "triton frozen": Injection(freeze_triton, Struck.TRITON, (Cause.TRITON_HUNG,)),
    "stub killed": Injection(kill_stub, Struck.TRITON, _STUB),
    "stub frozen": Injection(freeze_stub, Struck.TRITON, _STUB),
    "stub hung": Injection(hang_stub, Struck.TRITON, (Cause.TRITON_HUNG,)),
    "regions lost": Injection(lose_regions, Struck.TRITON, (Cause.TRITON_REGIONS_LOST,)),
    "redis killed": Injection(kill_redis, Struck.REDIS, (Cause.REDIS_AWAY,)),
    "redis read-only": Injection(make_redis_read_only, Struck.REDIS, (Cause.REDIS_READ_ONLY,)),
    "redis full": Injection(fill_redis, Struck.REDIS, (Cause.REDIS_FULL,)),
    "dispatcher frozen": Injection(freeze_dispatcher, Struck.DISPATCHER, (Cause.LEASE_LOST,)),
    "dispatcher killed": Injection(kill_dispatcher, Struck.DISPATCHER),
    "dispatcher ended": Injection(end_dispatcher, Struck.DISPATCHER),
}


def _told(parts: Parts, *causes: Cause) -> int:
    return sum(len(parts.fault_lines(cause)) for cause in causes)


async def _lose_stub(parts: Parts, which: int, lose: Callable[[int], None]) -> float:
    await until(lambda: bool(parts.stubs(which)))  # a model that is loaded anew has none for a moment
    stub = parts.stubs(which)[-1]
    lose(stub)
    try:
        return await until(lambda: parts.stubs(which)[-1:] not in ([stub], []))
    finally:
        with suppress(ProcessLookupError):
            os.kill(stub, signal.SIGKILL)
        _reap_traced(stub)


async def _end_dispatcher(dispatcher: DispatcherProcess, number: signal.Signals) -> float:
    before, struck_s = dispatcher.process.pid, time.monotonic()
    os.kill(before, number)
    ended_s = await until(lambda: dispatcher.process.pid != before or not dispatcher.running())
    if ended_s - struck_s > _END_S:
        raise ServiceError(f"the dispatcher took {ended_s - struck_s:.1f} s to end after {number.name}")
    return await until(lambda: dispatcher.process.pid != before and dispatcher.ready())


async def _commands(parts: Parts, first: tuple[str | int, ...], then: tuple[str, ...]) -> float:
    store = Store.connect(parts.redis_url)
    try:
        await store.call(*first)
        await asyncio.sleep(LEASE_S + 1)
        await store.call(*then)
        return time.monotonic()
    finally:
        await store.close()


async def until(condition: Callable[[], bool]) -> float:
    """When a condition came true; Redis may be away meanwhile.

    Raises:
        ServiceError: it does not.
    """
    give_up_s = time.monotonic() + _BACK_S
    while not await asyncio.to_thread(_holds, condition):
        if time.monotonic() > give_up_s:
            raise ServiceError(f"the part that was struck is not back after {_BACK_S} s")
        await asyncio.sleep(0.02)
    return time.monotonic()


def _holds(condition: Callable[[], bool]) -> bool:
    try:
        return condition()
    except RedisError:
        return False


def _stop_main_thread(pid: int) -> None:
    """Stop one thread and leave the others: a tracer may, signals may not."""
    libc = ctypes.CDLL(None, use_errno=True)
    for request in (_PTRACE_SEIZE, _PTRACE_INTERRUPT):
        if libc.ptrace(request, pid, None, None):
            raise PermissionError(f"this process may not trace {pid}: {os.strerror(ctypes.get_errno())}")


def _reap_traced(pid: int) -> None:
    """One that we traced and that was killed is dead to us first; its parent learns of it after that."""
    with suppress(ChildProcessError):
        while os.WIFSTOPPED(os.waitpid(pid, _WALL)[1]):
            continue


def _forget_regions(address: str) -> None:
    with InferenceServerClient(address, channel_args=[GRPC_DIRECT]) as client:
        for name in client.get_system_shared_memory_status().regions:
            (FOLDER / name).unlink(missing_ok=True)
            with suppress(InferenceServerException):  # in use at this moment
                client.unregister_system_shared_memory(name)
