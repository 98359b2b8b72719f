"""A Redis connection whose failures are :class:`~narrows.contract.errors.ServiceError` with the remedy.

An address may move to another server while connections to the one before stay: at a failover behind a virtual IP, a
proxy or a Kubernetes service. What a server says that shows this (:mod:`narrows.runtime.redis.replies`) ends its
connections; what only reads is never told, so no connection is kept for longer than :data:`LONGEST_CONNECTION_S`.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any
from weakref import WeakKeyDictionary

import redis
import structlog
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import SentinelConnectionPool

from narrows.contract.errors import ServiceError, ServiceUnavailable
from narrows.contract.wire import Install
from narrows.contract.wire.keys import INSTALL_KEY
from narrows.runtime.redact import redact
from narrows.runtime.redis.address import Address, Endpoint, Topology
from narrows.runtime.redis.cluster_client import ClusterClient, SlotReader, slot_pool
from narrows.runtime.redis.replies import OF_OTHER_NODES, Remedy, code_of, remedy_of, words_of
from narrows.runtime.redis.sentinel import master_pool

_log = structlog.get_logger(__name__)
SOCKET_TIMEOUT_S = 5.0
LONGEST_CONNECTION_S = 60.0
RENEW_AGAIN_S = 10.0
"""Where no new connection is to be had, because the server is full of clients, say."""
_IDLE_S, _PROBE_S, _PROBES = 5, 2, 3


def dead_peer_options() -> dict[int, int]:
    """TCP options (tcp(7)) that end an idle connection whose peer is gone without a word within about ten seconds."""
    wanted = {"TCP_KEEPIDLE": _IDLE_S, "TCP_KEEPINTVL": _PROBE_S, "TCP_KEEPCNT": _PROBES}
    return {getattr(socket, name): value for name, value in wanted.items() if hasattr(socket, name)}


class Renewing(redis.ConnectionPool):
    """redis-py's pool, which gives out no connection that is older than :data:`LONGEST_CONNECTION_S`.

    An old one is left when the new one stands, and kept where none is to be had.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - as redis-py has them
        super().__init__(*args, **kwargs)
        self._born_s: WeakKeyDictionary[Any, float] = WeakKeyDictionary()

    def get_connection(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """A connection that is connected."""
        old: Any = super().get_connection(*args, **kwargs)
        now_s = time.monotonic()
        if now_s - self._born_s.setdefault(old, now_s) <= LONGEST_CONNECTION_S:
            return old
        try:
            fresh: Any = super().get_connection(*args, **kwargs)
        except redis.RedisError as error:
            _log.warning("connection_kept", cause=words_of(error), next_try_s=RENEW_AGAIN_S)
            self._born_s[old] = now_s - LONGEST_CONNECTION_S + RENEW_AGAIN_S
            return old
        self.leave(old)
        self.release(old)
        self._born_s[fresh] = now_s
        return fresh

    def leave(self, connection: Any) -> None:  # noqa: ANN401
        """Disconnect one, which counts as new when it is used again."""
        connection.disconnect()
        self._born_s.pop(connection, None)


class Pool(Renewing):
    """Of connections to one server."""


class MasterPool(Renewing, SentinelConnectionPool):
    """Of connections to the master that Sentinels name."""


class Client(redis.Redis):
    """redis-py's client, which leaves a server as soon as the address may lead to another."""

    connection_pool: Renewing
    of_cluster = False

    def parse_response(self, connection: redis.Connection, command_name: str, **options: Any) -> Any:  # noqa: ANN401
        """Read one reply, and disconnect where it asks for that."""
        try:
            return super().parse_response(connection, command_name, **options)  # type: ignore[no-untyped-call]
        except redis.RedisError as error:
            if remedy_of(error) is Remedy.RECONNECT and not (self.of_cluster and code_of(error) in OF_OTHER_NODES):
                self.connection_pool.leave(connection)
                self.connection_pool.disconnect(inuse_connections=False)
            raise


class MemberClient(Client):
    """Of one node of a cluster, where what is said of other nodes ends no connection."""

    of_cluster = True


def connect(url: str, *, no_evict: bool = False) -> redis.Redis:
    """A client of the server at ``url``; nothing is sent yet. Answers are bytes.

    ``no_evict`` is for the cloud's own programs: the server shall not cut them for room (``maxmemory-clients``).

    Raises:
        ServiceError: the URL is none that Redis clients know.
    """
    options = {
        "socket_timeout": SOCKET_TIMEOUT_S,
        "socket_connect_timeout": SOCKET_TIMEOUT_S,
        "socket_keepalive": True,
        "socket_keepalive_options": dead_peer_options(),
        "retry": Retry(NoBackoff(), 0),
        "redis_connect_func": _greet if no_evict else None,
    }
    address = Address.parse(url)
    if address.topology is not Topology.CLUSTER:
        return Client.from_pool(open_pool(url, Pool, MasterPool, options))

    def of_node(node: Endpoint) -> redis.Redis:
        return MemberClient.from_pool(open_pool(address.of_server(node), Pool, MasterPool, options))

    return ClusterClient(SlotReader(address, options), of_node)


def nodes_of(client: redis.Redis) -> list[redis.Redis]:
    """A client of each server that holds data: of a cluster's nodes, or the one that was given.

    Raises:
        redis.ConnectionError: no node of a cluster says who they are.
    """
    return client.nodes() if isinstance(client, ClusterClient) else [client]


def open_pool(
    url: str,
    single: type[redis.ConnectionPool],
    master: type[SentinelConnectionPool],
    options: Mapping[str, Any],
    key: str | None = None,
) -> redis.ConnectionPool:
    """A pool of connections to what is at ``url``, with redis-py's options, for whom one server is enough.

    Args:
        url: of one server, of Sentinels, or of a cluster.
        single: the pool for one server.
        master: the pool for a master that Sentinels name.
        options: of each connection; what the address says goes first.
        key: in a cluster, connections lead to the node that serves it; by default the install record.

    Raises:
        ServiceError: the URL is none that Redis clients know.
    """
    address = Address.parse(url)
    try:
        if address.topology is Topology.SENTINEL:
            return master_pool(address, master, **options)
        if address.topology is Topology.CLUSTER:
            return slot_pool(address, single, key, options)
        return single.from_url(url, **options)
    except ValueError as error:
        raise ServiceError(f"--redis-url {redact(url)}: {redact(str(error))}") from None


def _greet(connection: redis.Connection) -> None:
    """A server, or a user, that does not have the command is used all the same."""
    connection.on_connect()  # type: ignore[no-untyped-call]
    connection.send_command("CLIENT", "NO-EVICT", "ON")  # type: ignore[no-untyped-call]
    with suppress(redis.ResponseError):
        connection.read_response()


@contextmanager
def named_errors(url: str) -> Iterator[None]:
    """Turn what the client raises into a named error.

    Raises:
        ServiceUnavailable: Redis does not answer.
        ServiceError: Redis refuses the command.
    """
    try:
        yield
    except (redis.ConnectionError, redis.TimeoutError) as error:
        kind = ServiceError if isinstance(error, redis.AuthenticationError) else ServiceUnavailable
        raise kind(
            f"Redis at {redact(url)} does not answer ({words_of(error)}): is it running, and is the URL right? "
            "Set it with --redis-url or NARROWS_REDIS_URL"
        ) from None
    except redis.RedisError as error:
        raise ServiceError(f"Redis at {redact(url)} refuses: {words_of(error)}") from None


def read_install(client: redis.Redis) -> Install:
    """How many shards this install has.

    Raises:
        ServiceUnavailable: no orchestrator has ever run against this Redis.
        RecordError: the record cannot be read.
    """
    record = client.get(INSTALL_KEY)
    if not isinstance(record, bytes):
        raise ServiceUnavailable(f"{INSTALL_KEY} is not in this Redis: start `narrows orchestrate` against it first")
    return Install.parse(record)
