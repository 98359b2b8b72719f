"""A Redis Cluster for who asks and waits: redis-py's client, each command given to the node that serves its key.

A client of one connection, such as a camera, needs one shard alone: its connection goes where that shard is
(:func:`slot_pool`), as one to the master of Sentinels does.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import redis
from redis.client import Pipeline
from redis.connection import parse_url
from redis.exceptions import AskError, ClusterDownError, MovedError, ReadOnlyError

from narrows.runtime.redis.address import Address, Endpoint
from narrows.runtime.redis.replies import words_of
from narrows.runtime.redis.slots import SlotMap, host_said, key_of, slot_of

_TRIES = 3
QUICK_CONNECT_S = 1.0
"""For a TCP connection to stand: a round trip, TLS comes after."""
_ELSEWHERE = (MovedError, AskError)
_AWAY = (redis.ConnectionError, redis.TimeoutError, ClusterDownError, ReadOnlyError)


class SlotReader:
    """Reads who serves which slots, from whichever node says it."""

    def __init__(self, address: Address, options: Mapping[str, Any]) -> None:
        """``options``: of each connection, as redis-py has them."""
        self._address, self._options = address, dict(options)
        self._known: tuple[Endpoint, ...] = ()

    def read(self, told: Endpoint | None = None) -> SlotMap:
        """Ask those that are known, then those of the address, over connections that are closed at once.

        Each in an order that is drawn: of a fleet's cameras all would ask the same node, with a handshake each. Where a
        zone is gone many are silent, so none has long to take the connection, unless nobody did.

        Args:
            told: where a slot was moved to: it knows that before the others do.

        Raises:
            redis.ConnectionError: nobody says it; the message has every cause.
        """
        first = () if told is None else (told,)
        nodes = list(dict.fromkeys((*first, *_drawn(self._known), *_drawn(self._address.servers))))
        causes: dict[Endpoint, redis.RedisError] = {}
        for connect_s in (QUICK_CONNECT_S, None):
            for node in nodes:
                try:
                    found = self._ask(node, connect_s)
                except redis.RedisError as error:
                    causes[node] = error
                    continue
                self._known = found.members
                return found
            nodes = [node for node in nodes if isinstance(causes[node], redis.TimeoutError)]
        said = "; ".join(f"{node}: {words_of(why)}" for node, why in causes.items())
        raise redis.ConnectionError(f"no node of the cluster says who serves what: {said}")

    def _ask(self, node: Endpoint, connect_s: float | None) -> SlotMap:
        limit = {} if connect_s is None else {"socket_connect_timeout": connect_s}
        with redis.Redis.from_url(self._address.of_server(node), **self._options | limit) as client:
            client.response_callbacks.clear()
            return SlotMap.parse(client.execute_command("CLUSTER", "SLOTS"), node)


def _drawn(nodes: Sequence[Endpoint]) -> list[Endpoint]:
    return random.sample(nodes, len(nodes))


class SlotConnection(redis.Connection):
    """A connection to whom ``locate`` names whenever it connects."""

    def __init__(self, *, locate: Callable[[], Endpoint], **options: Any) -> None:  # noqa: ANN401 - as redis-py has it
        super().__init__(**options)  # type: ignore[no-untyped-call]
        self._locate = locate

    def connect(self) -> None:
        """Connect, unless it is connected."""
        if self._sock is None:
            node = self._locate()
            self.host, self.port = node.host, node.port
        super().connect()  # type: ignore[no-untyped-call]


class SlotSSLConnection(SlotConnection, redis.SSLConnection):
    """As :class:`SlotConnection`, by TLS."""


def slot_pool(
    address: Address,
    pool: type[redis.ConnectionPool],
    key: str | None,
    options: Mapping[str, Any],
) -> redis.ConnectionPool:
    """A pool of connections to the node of a cluster that serves ``key``, asked for whenever one connects."""
    reader = SlotReader(address, options)
    given = parse_url(address.of_server(address.servers[0]))  # type: ignore[no-untyped-call]
    secure = given.pop("connection_class", None) is redis.SSLConnection
    return pool(
        connection_class=SlotSSLConnection if secure else SlotConnection,
        locate=lambda: _serving(reader, key),
        **given | dict(options),
    )


def _serving(reader: SlotReader, key: str | None) -> Endpoint:
    try:
        return reader.read().node(slot_of(key), key or "")
    except ClusterDownError as error:
        raise redis.ConnectionError(words_of(error)) from None


def _text(key: str | bytes | None) -> str:
    return key.decode("utf-8", "replace") if isinstance(key, bytes) else key or ""


class ClusterClient(redis.Redis):
    """redis-py's client of one server, made of those of all nodes.

    What names no key goes where the install record lies.
    There are no transactions but :meth:`transaction`, on keys of one slot, and no blocking of several nodes at once.
    """

    def __init__(self, reader: SlotReader, connect: Callable[[Endpoint], redis.Redis]) -> None:
        super().__init__()
        self._reader, self._connect = reader, connect
        self._clients: dict[Endpoint, redis.Redis] = {}
        self._map: SlotMap | None = None

    def execute_command(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - as redis-py has it
        """Ask the node that serves the command's key; a script is loaded on every node."""
        if args[0] == "SCRIPT LOAD":
            return [client.execute_command(*args, **options) for client in self.nodes()][-1]  # type: ignore[no-untyped-call]
        for _ in range(_TRIES - 1):
            try:
                return self._ask(key_of(args), args, options)
            except MovedError as moved:
                self._map = self._reader.read(Endpoint(moved.host, int(moved.port)))
        return self._ask(key_of(args), args, options)

    def nodes(self) -> list[redis.Redis]:
        """A client of each node that serves slots.

        Raises:
            redis.ConnectionError: no node says who they are.
        """
        return [self._client(node) for node in self._slots().nodes]

    def of_key(self, key: str | bytes | None) -> redis.Redis:
        """The client of the node that serves a key.

        Raises:
            redis.ConnectionError: no node says which.
            ClusterDownError: none does.
        """
        return self._client(self._slots().node(slot_of(key), _text(key)))

    def scan_iter(self, *args: Any, **options: Any) -> Iterator[Any]:  # noqa: ANN401
        """The keys of every node."""
        for client in self.nodes():
            yield from client.scan_iter(*args, **options)

    def transaction(self, func: Callable[[Pipeline], Any], *watches: Any, **options: Any) -> Any:  # noqa: ANN401
        """As redis-py's, where the first key lies."""
        return self.of_key(watches[0]).transaction(func, *watches, **options)

    def pipeline(self, transaction: bool = True, shard_hint: Any = None) -> Pipeline:  # noqa: ANN401, ARG002, FBT001, FBT002
        """Commands that are asked together, node by node; they are no transaction."""
        return _Together(self)

    def close(self) -> None:
        """Close all connections; the next command makes new ones."""
        self._map = None
        for client in self._clients.values():
            client.close()
        super().close()

    def _ask(self, key: bytes | None, args: Sequence[Any], options: Mapping[str, Any]) -> Any:  # noqa: ANN401
        try:
            node = self._slots().node(slot_of(key), _text(key))
        except ClusterDownError:
            self._map = None
            raise
        try:
            return self._client(node).execute_command(*args, **options)  # type: ignore[no-untyped-call]
        except AskError as error:  # a MOVED is one as well
            error.host = host_said(error.host, node)
            if isinstance(error, MovedError):
                raise
            with self._client(Endpoint(error.host, int(error.port))).pipeline(transaction=False) as pipe:
                pipe.execute_command("ASKING")  # type: ignore[no-untyped-call]
                pipe.execute_command(*args, **options)  # type: ignore[no-untyped-call]
                return pipe.execute()[1]
        except _AWAY:
            self._map = None
            raise

    def _slots(self) -> SlotMap:
        if self._map is None:
            self._map = self._reader.read()
        return self._map

    def _client(self, node: Endpoint) -> redis.Redis:
        if node not in self._clients:
            self._clients[node] = self._connect(node)
        return self._clients[node]


class _Together(Pipeline):
    """Collects commands, and asks each node for its part."""

    def __init__(self, cluster: ClusterClient) -> None:
        super().__init__(cluster.connection_pool, cluster.response_callbacks, False, None)
        self._cluster = cluster

    def execute(self, raise_on_error: bool = True) -> list[Any]:  # noqa: FBT001, FBT002 - as redis-py has it
        """Every reply, in the order of the commands; what has moved is asked for once more, where it is now."""
        stack, self.command_stack = self.command_stack, []
        parts: dict[redis.Redis, list[int]] = {}
        for i, (args, _) in enumerate(stack):
            parts.setdefault(self._cluster.of_key(key_of(args)), []).append(i)
        replies: list[Any] = [None] * len(stack)
        for client, part in parts.items():
            with client.pipeline(transaction=False) as pipe:
                for i in part:
                    pipe.execute_command(*stack[i][0], **stack[i][1])  # type: ignore[no-untyped-call]
                for i, reply in zip(part, pipe.execute(raise_on_error=False), strict=True):
                    replies[i] = self._again(stack[i], reply) if isinstance(reply, _ELSEWHERE) else reply
        wrong = next((reply for reply in replies if isinstance(reply, redis.RedisError)), None)
        if raise_on_error and wrong is not None:
            raise wrong
        return replies

    def _again(self, asked: tuple[Sequence[Any], Mapping[str, Any]], refusal: redis.RedisError) -> Any:  # noqa: ANN401
        try:
            return self._cluster.execute_command(*asked[0], **asked[1])
        except redis.ResponseError:
            return refusal
