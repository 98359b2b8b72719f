"""Real servers in the topologies that one address may stand for: a master that Sentinels watch, and a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis

from benchmarks.chaos.redis_cluster import CLUSTER_OPTIONS, Nodes, cluster, eventually, info, kill
from orchestrator.servers.guarded import Guarded
from orchestrator.servers.local_redis import LocalRedis, server_binary
from orchestrator.servers.ports import LOOPBACK, free_ports

__all__ = ["CLUSTER_OPTIONS", "MASTER", "Nodes", "Watched", "cluster", "eventually", "info", "kill", "watched"]
MASTER = "fleet"
_DOWN_AFTER_MS = 500


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
