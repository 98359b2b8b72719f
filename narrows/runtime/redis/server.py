"""One Redis-protocol server (7 or newer), or the master that Sentinels name: a connection pool, bytes in, replies out.

Whatever says that the address may lead to another server by now (:class:`~narrows.runtime.redis.replies.Remedy`), or
that a connection is dead, has every connection made anew before its next command. One that is only old is left when the
new one stands: a server that is full of clients takes none of us.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import count
from typing import Any, NamedTuple, Self
from weakref import WeakKeyDictionary

import structlog
from hiredis import pack_command
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from narrows.contract.errors import ServiceError
from narrows.runtime.redact import redact
from narrows.runtime.redis.address import Address, Topology
from narrows.runtime.redis.connection import LONGEST_CONNECTION_S, RENEW_AGAIN_S, dead_peer_options
from narrows.runtime.redis.replies import OF_OTHER_NODES, Remedy, code_of, hint_for, remedy_of, words_of
from narrows.runtime.redis.reply_limit import LimitedParser, ReplyLimitPassed
from narrows.runtime.redis.sentinel import async_master_pool
from narrows.runtime.redis.tracking import Written, follow_writes

_log = structlog.get_logger(__name__)
_REPLY_TIMEOUT_S = 10.0
_CONNECT_TIMEOUT_S = 2.0
_MOST_SCANS = 200
MOST_REPLY_BYTES = 64 << 20
"""Of what we wrote ourselves; what cameras write is read with a limit of its own."""

Encodable = str | bytes | int | float
Reply = Any  # as the protocol has it: bytes, int, None, or a list of these


class StoreAway(ServiceError):
    """The server cannot be reached, or is not ready yet."""


class ReplyRefused(ServiceError):
    """The server answered a command with an error.

    Attributes:
        code: its first word (``NOGROUP``, ``WRONGTYPE``, ``ERR``).
        remedy: what makes the same command succeed.
        error: as redis-py has it.
    """

    def __init__(self, error: RedisError, server: str = "Redis") -> None:
        hint = hint_for(code_of(error))
        super().__init__(f"{server} refuses: {words_of(error)}{hint and f'; {hint}'}")
        self.code, self.remedy = code_of(error), remedy_of(error)
        self.error: RedisError | None = error


def concerns_all(error: Exception) -> bool:
    """Whether an error of this store says something of the server, and not of the one key that was asked for."""
    return isinstance(error, StoreAway) or (isinstance(error, ReplyRefused) and error.remedy is not Remedy.NONE)


def within(replies: list[Reply]) -> list[Reply]:
    """What an array has in it; an error there, which is no error of the command, as :class:`ReplyRefused`."""
    return [ReplyRefused(reply) if isinstance(reply, RedisError) else reply for reply in replies]


class NodeAway(ReplyRefused):
    """The node of a cluster that serves a key cannot be reached, while those of other keys answered."""

    def __init__(self, away: StoreAway) -> None:
        ServiceError.__init__(self, str(away))
        self.code, self.remedy, self.error = "AWAY", Remedy.WAIT, None


class ReplyTooLarge(ServiceError):
    """The reply has more bytes than may be read. The command was carried out; its connection is dropped."""


class Born(NamedTuple):
    """When a connection was made: in which generation of connections, and by this process's clock."""

    generation: int
    at_s: float


class Server:
    """A connection pool to one server."""

    def __init__(self, redis: Redis, name: str = "Redis", *, member: bool = False) -> None:
        """``name`` stands in errors; ``member``: of a cluster, whose slots are looked after elsewhere."""
        self.name = name
        self._redis, self._member = redis, member
        redis.response_callbacks.clear()  # replies stay as the protocol has them, whatever the library's version
        self._generation = 0
        self._born: WeakKeyDictionary[AbstractConnection, Born] = WeakKeyDictionary()

    @classmethod
    def at(cls, address: Address, name: str = "Redis", *, member: bool = False) -> Self:
        """The server at an address, or the master of its Sentinels; connects when first used.

        Raises:
            ServiceError: the address is none of Redis.
        """
        options: dict[str, Any] = {
            "protocol": 2,
            "socket_timeout": None,  # `ask` has its own: theirs is asyncio.wait_for
            "socket_connect_timeout": _CONNECT_TIMEOUT_S,
            "socket_keepalive": True,
            "socket_keepalive_options": dead_peer_options(),
            "retry": Retry(NoBackoff(), 0),
            "health_check_interval": 0,
            "parser_class": LimitedParser,
            "redis_connect_func": _greet,
        }
        try:
            if address.topology is Topology.SENTINEL:
                return cls(Redis.from_pool(async_master_pool(address, **options)), name)
            return cls(Redis.from_url(address.url, **options), name, member=member)
        except ValueError as error:
            raise ServiceError(f"--redis-url {redact(address.url)}: {redact(str(error))}") from None

    async def close(self) -> None:
        """Close all connections."""
        await self._redis.aclose()

    async def scan(self, *options: Encodable, most: int | None = None) -> set[bytes]:
        """The keys that SCAN finds: it ends once there are ``most``, or where a server of millions takes too long.

        Raises:
            ReplyRefused, StoreAway: the server answers with an error, or not at all.
        """
        cursor: bytes | int = 0
        found: set[bytes] = set()
        for calls in count(1):
            (reply,) = await self.ask(pack(("SCAN", cursor, *options)), 1)
            if isinstance(reply, ReplyRefused):
                raise reply
            cursor, keys = reply
            found.update(keys)
            if int(cursor) == 0 or (most is not None and (len(found) >= most or calls >= _MOST_SCANS)):
                break
        return found

    async def ask(
        self, packed: bytes, replies: int, most_bytes: int = MOST_REPLY_BYTES, limit_s: float | None = None
    ) -> list[Reply]:
        """Send what is packed already and read its replies.

        Raises:
            ReplyTooLarge: they have more than ``most_bytes`` together.
            StoreAway: the server cannot be reached, or is silent for ``limit_s``, by default :data:`_REPLY_TIMEOUT_S`.
        """
        limit_s = _REPLY_TIMEOUT_S if limit_s is None else limit_s
        try:
            async with asyncio.timeout(limit_s):
                return await self._exchange(packed, replies, most_bytes)
        except ReplyLimitPassed:
            raise ReplyTooLarge(
                f"{self.name} answers with more than {most_bytes} bytes: look what writes to it"
            ) from None
        except TimeoutError:
            self._generation += 1
            raise StoreAway(f"{self.name} gave no answer in {limit_s:g} s; check --redis-url and the server") from None
        except (RedisError, OSError) as error:
            self._generation += 1
            raise StoreAway(f"{self.name} is away: {words_of(error)}; check --redis-url and the server") from None

    async def follow_writes(self, prefix: str, written: Written, goes_on: Callable[[], bool]) -> None:
        """Tell which keys beneath a prefix are written, until the connection for that is to be made anew.

        ``written`` is told ``None``, any of them, first; ``goes_on`` is asked about once a second.

        Raises:
            ReplyRefused: the server does not say it, or not to this user.
            StoreAway: it cannot be reached, or the connection broke.
        """
        generation = self._generation
        commands = pack(("HELLO", 3)), pack(("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", prefix))
        try:
            await follow_writes(
                self._redis.connection_pool,
                commands,
                written,
                lambda: self._generation == generation and goes_on(),
            )
        except ResponseError as error:
            raise ReplyRefused(error, self.name) from None
        except (RedisError, OSError) as error:
            raise StoreAway(f"{self.name} is away: {words_of(error)}; check --redis-url and the server") from None

    async def _exchange(self, packed: bytes, replies: int, most_bytes: int) -> list[Reply]:
        connection = await self._connection()
        try:
            parser: Any = connection._parser  # noqa: SLF001 - a LimitedParser, by `at`
            parser.left_bytes = most_bytes
            await connection.send_packed_command(packed)
            found = [self._taken(reply) for reply in await parser.replies(replies)]
        except BaseException:
            await connection.disconnect(nowait=True)  # replies that nobody read would answer the next command
            raise
        finally:
            self._give_back(connection)
        if any(self._says_elsewhere(reply) for reply in found):
            self._generation += 1
        return found

    def _says_elsewhere(self, reply: Reply) -> bool:
        """Whether another server may be behind the address by now."""
        if not isinstance(reply, ReplyRefused) or reply.remedy is not Remedy.RECONNECT:
            return False
        return not (self._member and reply.code in OF_OTHER_NODES)

    def _taken(self, reply: Reply) -> Reply:
        return ReplyRefused(reply, self.name) if isinstance(reply, ResponseError) else reply

    async def _connection(self) -> AbstractConnection:
        """A connection that leads where the address leads now, as far as is known.

        redis-py's own ``get_connection`` and ``release`` take locks and keep statistics, for more than all else of an
        exchange takes.
        """
        pool, now = self._redis.connection_pool, Born(self._generation, time.monotonic())
        connection: AbstractConnection = pool.get_available_connection()  # type: ignore[no-untyped-call]
        try:
            if not _usable(connection):
                await pool.ensure_connection(connection)
            born = self._born.setdefault(connection, now)
            if born.generation != now.generation:
                await connection.disconnect(nowait=True)
                await connection.connect()  # type: ignore[no-untyped-call]
                self._born[connection] = now
            elif now.at_s - born.at_s > LONGEST_CONNECTION_S:
                connection = await self._renewed(connection, now)
        except BaseException:
            self._give_back(connection)
            raise
        return connection

    def _give_back(self, connection: AbstractConnection) -> None:
        pool = self._redis.connection_pool
        pool._in_use_connections.remove(connection)  # noqa: SLF001 - as its `release` does
        pool._available_connections.append(connection)  # noqa: SLF001

    async def _renewed(self, old: AbstractConnection, now: Born) -> AbstractConnection:
        """A new connection in the place of one that does its work, which is kept where no new one is to be had."""
        pool = self._redis.connection_pool
        fresh: AbstractConnection = pool.make_connection()  # type: ignore[no-untyped-call]
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT_S):
                await fresh.connect()  # type: ignore[no-untyped-call]
        except (RedisError, OSError, TimeoutError) as error:
            _log.warning("connection_kept", cause=words_of(error), next_try_s=RENEW_AGAIN_S)
            self._born[old] = now._replace(at_s=now.at_s - LONGEST_CONNECTION_S + RENEW_AGAIN_S)
            return old
        pool._in_use_connections.remove(old)  # noqa: SLF001 - the pool knows no exchange
        pool._in_use_connections.add(fresh)  # noqa: SLF001
        self._born[fresh] = now
        await old.disconnect(nowait=True)
        return fresh


def pack(command: Iterable[Encodable]) -> bytes:
    """A command as it goes over the wire."""
    packed: bytes = pack_command(tuple(command))  # type: ignore[arg-type]
    return packed


async def _greet(connection: AbstractConnection) -> None:
    """Make a connection that the server does not cut for room: ``maxmemory-clients`` is there for cameras'.

    A server, or a user, that does not have the command is used all the same.
    """
    await connection.on_connect()
    await connection.send_command("CLIENT", "NO-EVICT", "ON")
    with suppress(ResponseError):
        await connection.read_response()


def _usable(connection: AbstractConnection) -> bool:
    """Whether a connection that was given back stands, and owes nobody a reply."""
    parser: Any = connection._parser  # noqa: SLF001 - a LimitedParser, by `at`
    return bool(connection.is_connected and parser.quiet)
