"""A Redis Cluster of real processes on this machine: masters, replicas, kills, slots that move.

The tests of Redis topologies use it too.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis
from redis.crc import key_slot

from orchestrator.servers.local_redis import LocalRedis
from orchestrator.servers.ports import LOOPBACK

_PATIENCE_S = 60.0
_ANSWER_S = 2.0
"""A node that is frozen gives none; the next is asked."""


def eventually(claim: Callable[[], object]) -> None:
    """Wait until a claim holds; what it asks may be away meanwhile.

    Raises:
        AssertionError: it does not come true.
    """
    give_up_s = time.monotonic() + _PATIENCE_S
    while True:
        with suppress(redis.RedisError):
            if claim():
                return
        if time.monotonic() > give_up_s:
            raise AssertionError("the claim never came true")
        time.sleep(0.02)


def info(server: LocalRedis, section: str) -> dict[str, Any]:
    """A section of INFO."""
    with redis.Redis.from_url(server.url, socket_timeout=_ANSWER_S) as client:
        return dict(client.info(section))


def kill(server: LocalRedis) -> None:
    """As a machine that lost its power, seen from others: at once, without a word to anybody."""
    os.kill(server.pid, signal.SIGKILL)


_SLOTS, NODES = 16384, 6
_NODE_TIMEOUT_MS = 1000
CLUSTER_OPTIONS = (
    *("--cluster-enabled", "yes", "--cluster-node-timeout", str(_NODE_TIMEOUT_MS)),
    *("--cluster-require-full-coverage", "no", "--repl-diskless-sync-delay", "0"),
)


@dataclass
class Nodes:
    """A cluster of three masters, each with a replica.

    Attributes:
        servers: of whichever role.
        frozen: those that are stopped and not dead.
    """

    servers: list[LocalRedis]
    frozen: list[LocalRedis] = field(default_factory=list)

    @property
    def url(self) -> str:
        """The address of all."""
        return f"redis+cluster://{','.join(f'{LOOPBACK}:{each.port}' for each in self.servers)}"

    def say(self, server: LocalRedis, *command: str | int | bytes) -> Any:  # noqa: ANN401 - as the protocol has it
        """Ask one node."""
        with redis.Redis.from_url(server.url) as client:
            return client.execute_command(*command)

    def masters(self) -> list[LocalRedis]:
        """Who serves slots, as the first that runs sees it."""
        ports = {port for _, _, (_, port, *_), *_ in self.slots()}
        return [each for each in self.servers if each.port in ports]

    def slots(self, seen: LocalRedis | None = None) -> list[Any]:
        """CLUSTER SLOTS as a node answers it, or the first that runs."""
        seen = seen or next(each for each in self.servers if each.running() and each not in self.frozen)
        with redis.Redis.from_url(seen.url, socket_timeout=_ANSWER_S) as client:
            client.response_callbacks.clear()
            return list(client.execute_command("CLUSTER", "SLOTS"))

    def master_of(self, key: str) -> LocalRedis:
        """Who serves a key."""
        return self._at(self._of_slot(key)[0])

    def replica_of(self, key: str) -> LocalRedis:
        """Whoever copies the master that serves a key."""
        return self._at(self._of_slot(key)[1])

    def taken_over(self, key: str, old: LocalRedis) -> bool:
        """Whether another serves the key by now, in the eyes of every node that runs."""
        running = [each for each in self.servers if each.running() and each not in self.frozen]
        named = {self._of_slot(key, seen)[0][1] for seen in running}
        return len(named) == 1 and old.port not in named

    def kill_master_of(self, key: str) -> LocalRedis:
        """As a machine that lost its power; answers who it was."""
        old = self.master_of(key)
        kill(old)
        return old

    def move(self, key: str, to: LocalRedis | None = None) -> LocalRedis:
        """Move a key's slot with all that is in it to another master, key by key; answers which."""
        slot, source = key_slot(key.encode()), self.master_of(key)
        target = to or next(each for each in self.masters() if each is not source)
        ids = {each: self.say(each, "CLUSTER", "MYID") for each in (source, target)}
        self.say(target, "CLUSTER", "SETSLOT", slot, "IMPORTING", ids[source])
        self.say(source, "CLUSTER", "SETSLOT", slot, "MIGRATING", ids[target])
        while keys := self.say(source, "CLUSTER", "GETKEYSINSLOT", slot, 10):
            self.say(source, "MIGRATE", LOOPBACK, target.port, "", 0, 5000, "REPLACE", "KEYS", *keys)
        for each in dict.fromkeys((target, source, *self.masters())):
            self.say(each, "CLUSTER", "SETSLOT", slot, "NODE", ids[target])
        return target

    def empty(self) -> None:
        """Delete everything."""
        for each in self.masters():
            self.say(each, "FLUSHALL")

    def heal(self) -> None:
        """Every server runs, three serve slots, the others follow them."""
        for each in self.servers:
            if not each.running():
                each.restart()
        eventually(self.ready)

    def ready(self) -> bool:
        """Whether a master that ends now has an heir: its replica's first copy is there."""
        states = [info(each, "replication") for each in self.servers]
        health = [self.say(each, "CLUSTER", "INFO").decode() for each in self.servers]
        return (
            all(state["role"] == "master" or state["master_link_status"] == "up" for state in states)
            and sorted(state["connected_slaves"] for state in states if state["role"] == "master") == [1, 1, 1]
            and all("cluster_state:ok" in each for each in health)
        )

    def _at(self, node: Sequence[Any]) -> LocalRedis:
        return next(each for each in self.servers if each.port == node[1])

    def _of_slot(self, key: str, seen: LocalRedis | None = None) -> list[Any]:
        """The master and the replicas of a key, as a node sees it, or the first that runs."""
        slot = key_slot(key.encode())
        return next(nodes for first, last, *nodes in self.slots(seen) if first <= slot <= last)


@contextmanager
def cluster(folder: Path) -> Iterator[Nodes]:
    """Three masters and three replicas."""
    with ExitStack() as running:
        servers = [
            running.enter_context(LocalRedis.start(folder / f"node-{each}", options=CLUSTER_OPTIONS))
            for each in range(NODES)
        ]
        nodes = Nodes(servers)
        for number, each in enumerate(servers[:3]):
            first, last = number * _SLOTS // 3, (number + 1) * _SLOTS // 3 - 1
            nodes.say(each, "CLUSTER", "ADDSLOTSRANGE", first, last)
            nodes.say(each, "CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for each in servers[1:]:
            nodes.say(each, "CLUSTER", "MEET", LOOPBACK, servers[0].port)
        for master, replica in zip(servers[:3], servers[3:], strict=True):
            name = nodes.say(master, "CLUSTER", "MYID").decode()
            eventually(lambda r=replica, n=name: n in nodes.say(r, "CLUSTER", "NODES").decode())  # type: ignore[misc]
            nodes.say(replica, "CLUSTER", "REPLICATE", name)
        eventually(nodes.ready)
        yield nodes
