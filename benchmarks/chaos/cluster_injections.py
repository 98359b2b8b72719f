"""Fault injections into a Redis Cluster: its nodes die, freeze and fill up, masters change, slots move.

The number of a part is that of a shard: the node that serves it is struck.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import Mapping

from benchmarks.chaos.injections import INJECTIONS, LEASE_S, Injection, Struck, until
from benchmarks.chaos.parts import Parts
from benchmarks.chaos.redis_cluster import Nodes, kill
from narrows.contract.wire import ShardKeys
from orchestrator.servers import LocalRedis
from orchestrator.telemetry.faults import Cause

_BEHIND_S = 0.6
"""Less than the time after which a node that is silent is held to be away; some frames of each camera."""


async def restart_master(parts: Parts, shard: int) -> float:
    """SIGKILL of a master, which is back with its append-only file before anybody takes over."""
    old = await _master(parts, shard)
    kill(old)
    return await _back(parts.nodes, old)


async def lose_master(parts: Parts, shard: int) -> float:
    """SIGKILL of a master, which stays away until its replica serves its slots. What it had not copied yet is lost."""
    old = await _master(parts, shard)
    kill(old)
    taken_over_s = await until(lambda: parts.nodes.taken_over(_key(shard), old))
    await _back(parts.nodes, old)
    return taken_over_s


async def lose_master_ahead(parts: Parts, shard: int) -> float:
    """As :func:`lose_master`, while the replica was behind: what the master acknowledged alone is lost, and counted."""
    nodes, old = parts.nodes, await _master(parts, shard)
    replica = await asyncio.to_thread(nodes.replica_of, _key(shard))
    nodes.frozen.append(replica)
    os.kill(replica.pid, signal.SIGSTOP)
    try:
        await asyncio.to_thread(nodes.say, old, "CLIENT", "KILL", "TYPE", "replica")
        await asyncio.sleep(_BEHIND_S)
        kill(old)
    finally:
        os.kill(replica.pid, signal.SIGCONT)
        nodes.frozen.remove(replica)
    taken_over_s = await until(lambda: nodes.taken_over(_key(shard), old))
    await _back(nodes, old)
    return taken_over_s


async def freeze_master(parts: Parts, shard: int) -> float:
    """SIGSTOP of a master until its replica serves its slots; then it thaws, with commands in its sockets."""
    old = await _master(parts, shard)
    parts.nodes.frozen.append(old)
    os.kill(old.pid, signal.SIGSTOP)
    try:
        taken_over_s = await until(lambda: parts.nodes.taken_over(_key(shard), old))
    finally:
        os.kill(old.pid, signal.SIGCONT)
        parts.nodes.frozen.remove(old)
    await until(parts.nodes.ready)
    return taken_over_s


async def lose_replica(parts: Parts, shard: int) -> float:
    """SIGKILL of a replica, which comes back and copies what it missed."""
    replica = await asyncio.to_thread(parts.nodes.replica_of, _key(shard))
    kill(replica)
    return await _back(parts.nodes, replica)


async def change_master(parts: Parts, shard: int) -> float:
    """CLUSTER FAILOVER: the replica takes over as planned, and loses nothing."""
    old = await _master(parts, shard)
    replica = await asyncio.to_thread(parts.nodes.replica_of, _key(shard))
    await asyncio.to_thread(parts.nodes.say, replica, "CLUSTER", "FAILOVER")
    taken_over_s = await until(lambda: parts.nodes.taken_over(_key(shard), old))
    await until(parts.nodes.ready)
    return taken_over_s


async def move_slot(parts: Parts, shard: int) -> float:
    """A shard's slot moves to another master, key by key, while its cameras send."""

    def move() -> None:
        nodes, source = parts.nodes, parts.nodes.master_of(_key(shard))
        nodes.move(_key(shard), random.choice([each for each in nodes.masters() if each is not source]))

    await asyncio.to_thread(move)
    moved_s = time.monotonic()
    await until(parts.nodes.ready)
    return moved_s


async def fill_node(parts: Parts, shard: int) -> float:
    """A node takes no more writes for want of memory, longer than a lease."""
    master = await _master(parts, shard)
    await asyncio.to_thread(parts.nodes.say, master, "CONFIG", "SET", "maxmemory", "1mb")
    await asyncio.sleep(LEASE_S + 1)
    await asyncio.to_thread(parts.nodes.say, master, "CONFIG", "SET", "maxmemory", "0")
    return time.monotonic()


OF_CLUSTER: Mapping[str, Injection] = {
    **{name: injection for name, injection in INJECTIONS.items() if injection.struck is not Struck.REDIS},
    "master killed": Injection(restart_master, Struck.NODE, (Cause.REDIS_AWAY,)),
    "master lost": Injection(lose_master, Struck.NODE, (Cause.REDIS_AWAY,)),
    "master lost ahead of its replica": Injection(lose_master_ahead, Struck.NODE, (Cause.REDIS_AWAY,)),
    "master frozen": Injection(freeze_master, Struck.NODE, (Cause.REDIS_AWAY,)),
    "master changed": Injection(change_master, Struck.NODE),
    "replica killed": Injection(lose_replica, Struck.NODE),
    "slot moved": Injection(move_slot, Struck.NODE),
    "node full": Injection(fill_node, Struck.NODE, (Cause.REDIS_FULL,)),
}
"""What may happen to an install on a cluster; all but what strikes the one server."""


def _key(shard: int) -> str:
    return ShardKeys(shard).lease


async def _master(parts: Parts, shard: int) -> LocalRedis:
    return await asyncio.to_thread(parts.nodes.master_of, _key(shard))


async def _back(nodes: Nodes, server: LocalRedis) -> float:
    """Start one again, and wait until every master has an heir: the next fault strikes a cluster that is whole."""
    await asyncio.to_thread(server.restart)
    back_s = time.monotonic()
    await until(nodes.ready)
    return back_s
