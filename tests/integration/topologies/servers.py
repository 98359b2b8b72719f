"""Real servers in the topologies that one address may stand for: a master that Sentinels watch, and a cluster."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis
from redis.crc import key_slot

from orchestrator.servers.guarded import Guarded
from orchestrator.servers.local_redis import LocalRedis, server_binary
from orchestrator.servers.ports import LOOPBACK, free_ports

MASTER = "fleet"
_PATIENCE_S = 60.0
_DOWN_AFTER_MS = 500


def eventually(claim: Callable[[], object]) -> None:
    """Wait until a claim holds; what it asks may be away meanwhile."""
    give_up_s = time.monotonic() + _PATIENCE_S
    while True:
        with suppress(redis.RedisError):
            if claim():
                return
        assert time.monotonic() < give_up_s, "the claim never came true"
        time.sleep(0.02)


def info(server: LocalRedis, section: str) -> dict[str, Any]:
    with redis.Redis.from_url(server.url) as client:
        return dict(client.info(section))


def kill(server: LocalRedis) -> None:
    """As a machine that lost its power, seen from others: at once, without a word to anybody."""
    os.kill(server.pid, signal.SIGKILL)


@dataclass
class Watched:
    """A master with replicas, and the Sentinels that watch them."""

    servers: list[LocalRedis]
    sentinels: list[int]
    running: ExitStack

    @property
    def url(self) -> str:
        return f"redis+sentinel://{','.join(f'{LOOPBACK}:{port}' for port in self.sentinels)}/{MASTER}/0"

    @property
    def master(self) -> LocalRedis:
        """Whom the Sentinels name."""
        with redis.Redis(port=self.sentinels[0]) as sentinel:
            found: Any = sentinel.sentinel_get_master_addr_by_name(MASTER)
        return next(each for each in self.servers if each.port == found[1])

    def fail_over(self) -> LocalRedis:
        """Kill the master, and wait until the Sentinels name another, which is answered; the old one comes back."""
        old = self.master
        with redis.Redis.from_url(old.url) as client:
            assert client.wait(1, 4000) >= 1
        kill(old)
        eventually(lambda: self.master is not old and info(self.master, "replication")["role"] == "master")
        return self.master

    def heal(self) -> None:
        """Every server runs, and follows the master; the Sentinels know it."""
        for each in self.servers:
            if not each.running():
                each.restart()
                with redis.Redis.from_url(each.url) as client:  # the Sentinels would see to it after eight seconds
                    client.replicaof(LOOPBACK, str(self.master.port))
        eventually(self.ready)

    def ready(self) -> bool:
        replicas = [each for each in self.servers if each is not self.master]
        with redis.Redis(port=self.sentinels[0]) as sentinel:
            state: Any = sentinel.sentinel_master(MASTER)
            known: Any = sentinel.sentinel_slaves(MASTER)
        return (
            all(info(each, "replication").get("master_link_status") == "up" for each in replicas)
            and state["num-other-sentinels"] == len(self.sentinels) - 1
            and len([each for each in known if not each["is_sdown"]]) == len(replicas)
        )


@contextmanager
def watched(folder: Path) -> Iterator[Watched]:
    """One master, one replica, three Sentinels."""
    with ExitStack() as running:
        servers = [running.enter_context(LocalRedis.start(folder / f"server-{each}")) for each in range(2)]
        with redis.Redis.from_url(servers[0].url) as master, redis.Redis.from_url(servers[1].url) as replica:
            master.config_set("repl-diskless-sync-delay", 0)
            replica.config_set("repl-diskless-sync-delay", 0)
            replica.replicaof(LOOPBACK, str(servers[0].port))
        ports = free_ports(3)
        for port in ports:
            _start_sentinel(folder / f"sentinel-{port}", port, servers[0].port, running)
        found = Watched(servers, ports, running)
        eventually(found.ready)
        yield found


def _start_sentinel(folder: Path, port: int, master: int, running: ExitStack) -> None:
    folder.mkdir(parents=True)
    (folder / "sentinel.conf").write_text(
        f"port {port}\nbind {LOOPBACK}\ndir {folder}\n"
        f"sentinel monitor {MASTER} {LOOPBACK} {master} 2\n"
        f"sentinel down-after-milliseconds {MASTER} {_DOWN_AFTER_MS}\n"
        f"sentinel failover-timeout {MASTER} 4000\n"
    )
    command: list[str | Path] = [server_binary(), folder / "sentinel.conf", "--sentinel"]
    running.callback(Guarded.start(command, log=folder / "sentinel.log").stop)
    eventually(lambda: redis.Redis(port=port).ping())


_SLOTS = 16384
_NODE_TIMEOUT_MS = 1000
CLUSTER_OPTIONS = (
    *("--cluster-enabled", "yes", "--cluster-node-timeout", str(_NODE_TIMEOUT_MS)),
    *("--cluster-require-full-coverage", "no", "--repl-diskless-sync-delay", "0"),
)


@dataclass
class Nodes:
    """A cluster of three masters, each with a replica."""

    servers: list[LocalRedis]

    @property
    def url(self) -> str:
        return f"redis+cluster://{','.join(f'{LOOPBACK}:{each.port}' for each in self.servers)}"

    def say(self, server: LocalRedis, *command: str | int | bytes) -> Any:
        with redis.Redis.from_url(server.url) as client:
            return client.execute_command(*command)

    def masters(self) -> list[LocalRedis]:
        """Who serves slots, as the first that runs sees it."""
        ports = {port for _, _, (_, port, *_), *_ in self.slots()}
        return [each for each in self.servers if each.port in ports]

    def slots(self) -> list[Any]:
        seen = next(each for each in self.servers if each.running())
        with redis.Redis.from_url(seen.url) as client:
            client.response_callbacks.clear()
            return list(client.execute_command("CLUSTER", "SLOTS"))

    def master_of(self, key: str) -> LocalRedis:
        """Who serves a key."""
        slot = key_slot(key.encode())
        port = next(node[1] for first, last, node, *_ in self.slots() if first <= slot <= last)
        return next(each for each in self.servers if each.port == port)

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


@contextmanager
def cluster(folder: Path) -> Iterator[Nodes]:
    """Three masters and three replicas."""
    with ExitStack() as running:
        servers = [
            running.enter_context(LocalRedis.start(folder / f"node-{each}", options=CLUSTER_OPTIONS))
            for each in range(6)
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
