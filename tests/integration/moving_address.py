"""An address that moves between servers while connections to the one before stay, and two servers to move between."""

from __future__ import annotations

import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import redis

from orchestrator.servers import LocalRedis

_LOOPBACK = "127.0.0.1"
_CHUNK = 65_536


class MovingAddress:
    """A TCP forwarder, as a virtual IP or a Kubernetes service is one: only new connections go to the new server.

    Attributes:
        url: what clients are given.
        target: the port that new connections go to.
        dead: whether bytes of connections are dropped without a word, as of a peer that lost its power.
    """

    def __init__(self, port: int, target: int) -> None:
        self.url = f"redis://{_LOOPBACK}:{port}/0"
        self.target = target
        self.dead: set[int] = set()

    def pass_on(self, source: socket.socket, sink: socket.socket, server: int) -> None:
        with suppress(OSError):
            while data := source.recv(_CHUNK):
                if server not in self.dead:
                    sink.sendall(data)
        if server not in self.dead:
            with suppress(OSError):
                sink.shutdown(socket.SHUT_RDWR)


@contextmanager
def moving_address(target: int) -> Iterator[MovingAddress]:
    """Forward from a free port to ``target``, until told otherwise."""
    held: list[MovingAddress] = []

    class Connection(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            address = held[0]
            server = address.target
            try:
                upstream = socket.create_connection((_LOOPBACK, server))
            except OSError:
                return
            with upstream:
                answers = threading.Thread(target=address.pass_on, args=(upstream, self.request, server), daemon=True)
                answers.start()
                address.pass_on(self.request, upstream, server)
                with suppress(OSError):
                    upstream.shutdown(socket.SHUT_RDWR)
                answers.join()

    class Forwarder(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

    with Forwarder((_LOOPBACK, 0), Connection) as forwarder:
        held.append(MovingAddress(forwarder.server_address[1], target))
        serving = threading.Thread(target=forwarder.serve_forever, kwargs={"poll_interval": 0.05})
        serving.start()
        try:
            yield held[0]
        finally:
            forwarder.shutdown()
            serving.join()


@dataclass
class Pair:
    """A primary and its replica behind one address."""

    address: MovingAddress
    first: LocalRedis
    second: LocalRedis
    old: redis.Redis
    new: redis.Redis

    @property
    def url(self) -> str:
        """The address that moves."""
        return self.address.url

    def wait_for_a_blocked_client(self) -> None:
        """Until somebody's blocking read waits at the old primary, which is to end by its demotion."""
        give_up_s = time.monotonic() + 30
        while not self.old.info("clients")["blocked_clients"]:
            assert time.monotonic() < give_up_s, "nobody blocks"
            time.sleep(0.01)

    def fail_over(self, *, behind: bool = False) -> None:
        """The replica becomes the primary and the address leads to it; the old one is demoted, its connections stay.

        Args:
            behind: the replica has not got all, nor shall it.
        """
        if not behind:
            assert self.old.wait(1, 4000) == 1
        self.new.replicaof("NO", "ONE")
        self.address.target = self.second.port
        self.old.replicaof(_LOOPBACK, str(self.second.port))

    def lose_power(self) -> None:
        """The primary is gone without a word to anybody; the replica becomes the primary."""
        assert self.old.wait(1, 4000) == 1
        self.new.replicaof("NO", "ONE")
        self.address.target = self.second.port
        self.address.dead.add(self.first.port)


@contextmanager
def redis_pair(folder: Path) -> Iterator[Pair]:
    """Two real servers, the second a replica of the first."""
    with ExitStack() as running:
        first = running.enter_context(LocalRedis.start(folder / "first"))
        second = running.enter_context(LocalRedis.start(folder / "second"))
        old, new = (running.enter_context(redis.Redis.from_url(each.url)) for each in (first, second))
        old.config_set("repl-diskless-sync-delay", 0)
        new.replicaof(_LOOPBACK, str(first.port))
        give_up_s = time.monotonic() + 30
        while new.info("replication")["master_link_status"] != "up":
            assert time.monotonic() < give_up_s, "the replica does not follow"
            time.sleep(0.02)
        yield Pair(running.enter_context(moving_address(first.port)), first, second, old, new)
