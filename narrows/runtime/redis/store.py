"""The Redis server, typed: raw replies in, values out, connection troubles as ``ServiceError``.

Whatever says that the address may lead to another server by now (:class:`~narrows.runtime.redis.replies.Remedy`), or
that a connection is dead, has every connection made anew before its next command. One that is only old is left when the
new one stands: a server that is full of clients takes none of us.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
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
from narrows.runtime.redis.connection import LONGEST_CONNECTION_S, RENEW_AGAIN_S, dead_peer_options
from narrows.runtime.redis.replies import Remedy, code_of, remedy_of, words_of
from narrows.runtime.redis.reply_limit import LimitedParser, ReplyLimitPassed
from narrows.runtime.redis.script import Script
from narrows.runtime.redis.url import check_url

_log = structlog.get_logger(__name__)
_REPLY_TIMEOUT_S = 10.0
_CONNECT_TIMEOUT_S = 2.0
_MOST_REPLY_BYTES = 64 << 20
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
    """

    def __init__(self, error: RedisError) -> None:
        super().__init__(f"Redis refuses: {words_of(error)}")
        self.code = code_of(error)
        self.remedy = remedy_of(error)


def concerns_all(error: Exception) -> bool:
    """Whether an error of this store says something of the server, and not of the one key that was asked for."""
    return isinstance(error, StoreAway) or (isinstance(error, ReplyRefused) and error.remedy is not Remedy.NONE)


class ReplyTooLarge(ServiceError):
    """The reply has more bytes than may be read. The command was carried out; its connection is dropped."""


@dataclass(frozen=True, slots=True)
class RawEntry:
    """A stream entry as it was read: its id and its fields, names and values in turn.

    Attributes:
        fields: ``None`` if the entry was deleted, or left unread.
        too_large: it was left unread, for its size.
    """

    id: bytes
    fields: list[bytes] | None
    too_large: bool = False


@dataclass(frozen=True, slots=True)
class Pending:
    """An entry that was delivered and has no end yet."""

    id: bytes
    consumer: bytes
    idle_ms: int
    deliveries: int


class Born(NamedTuple):
    """When a connection was made: in which generation of connections, and by this process's clock."""

    generation: int
    at_s: float


class Store:
    """A connection pool to one Redis-protocol server (7 or newer)."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        redis.response_callbacks.clear()  # replies stay as the protocol has them, whatever the library's version
        self._generation = 0
        self._born: WeakKeyDictionary[AbstractConnection, Born] = WeakKeyDictionary()

    @classmethod
    def connect(cls, url: str) -> Self:
        """A store at ``url``; connects when first used.

        Raises:
            ServiceError: the URL is none of Redis.
        """
        try:
            redis = Redis.from_url(
                check_url(url),
                protocol=2,
                socket_timeout=None,  # _ask has its own: theirs is asyncio.wait_for
                socket_connect_timeout=_CONNECT_TIMEOUT_S,
                socket_keepalive=True,
                socket_keepalive_options=dead_peer_options(),
                retry=Retry(NoBackoff(), 0),
                health_check_interval=0,
                parser_class=LimitedParser,
                redis_connect_func=_greet,
            )
        except ValueError as error:
            raise ServiceError(f"--redis-url {redact(url)}: {redact(str(error))}") from None
        return cls(redis)

    async def close(self) -> None:
        """Close all connections."""
        await self._redis.aclose()

    async def call(self, *command: Encodable) -> Reply:
        """One command, its raw reply.

        Raises:
            ReplyRefused: the server answered with an error.
            StoreAway: the server cannot be reached.
        """
        return _accepted(await self._ask(_pack(command), 1))

    async def many(self, commands: Sequence[Sequence[Encodable]]) -> list[Reply]:
        """Several commands in one round trip; a refused one has :class:`ReplyRefused` as its reply.

        Raises:
            StoreAway: the server cannot be reached.
        """
        if not commands:
            return []
        return await self._ask(b"".join(map(_pack, commands)), len(commands))

    async def _ask(self, packed: bytes, replies: int, most_bytes: int = _MOST_REPLY_BYTES) -> list[Reply]:
        """Send what is packed already and read its replies.

        Raises:
            ReplyTooLarge: they have more than ``most_bytes`` together.
            StoreAway: the server cannot be reached, or is silent for :data:`_REPLY_TIMEOUT_S`.
        """
        try:
            async with asyncio.timeout(_REPLY_TIMEOUT_S):
                return await self._exchange(packed, replies, most_bytes)
        except ReplyLimitPassed:
            raise ReplyTooLarge(f"Redis answers with more than {most_bytes} bytes: look what writes to it") from None
        except TimeoutError:
            self._generation += 1
            raise StoreAway(
                f"Redis gave no answer in {_REPLY_TIMEOUT_S:g} s; check --redis-url and the server"
            ) from None
        except (RedisError, OSError) as error:
            self._generation += 1
            raise StoreAway(f"Redis is away: {words_of(error)}; check --redis-url and the server") from None

    async def _exchange(self, packed: bytes, replies: int, most_bytes: int) -> list[Reply]:
        connection = await self._connection()
        try:
            parser: Any = connection._parser  # noqa: SLF001 - a LimitedParser, by `connect`
            parser.left_bytes = most_bytes
            await connection.send_packed_command(packed)
            found = [await _reply(connection) for _ in range(replies)]
        except BaseException:
            await connection.disconnect(nowait=True)  # replies that nobody read would answer the next command
            raise
        finally:
            await self._redis.connection_pool.release(connection)
        if any(isinstance(reply, ReplyRefused) and reply.remedy is Remedy.RECONNECT for reply in found):
            self._generation += 1
        return found

    async def _connection(self) -> AbstractConnection:
        """A connection that leads where the address leads now, as far as is known."""
        pool, now = self._redis.connection_pool, Born(self._generation, time.monotonic())
        connection: AbstractConnection = await pool.get_connection()  # type: ignore[no-untyped-call]
        try:
            born = self._born.setdefault(connection, now)
            if born.generation != now.generation:
                await connection.disconnect(nowait=True)
                await connection.connect()  # type: ignore[no-untyped-call]
                self._born[connection] = now
            elif now.at_s - born.at_s > LONGEST_CONNECTION_S:
                connection = await self._renewed(connection, now)
        except BaseException:
            await pool.release(connection)
            raise
        return connection

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

    async def run(self, script: Script, keys: Sequence[str | bytes], *args: Encodable) -> Reply:
        """Run one script; as :meth:`call`."""
        return _accepted(await self.run_many([(script, keys, args)]))

    async def run_many(self, calls: Sequence[tuple[Script, Sequence[str | bytes], Sequence[Encodable]]]) -> list[Reply]:
        """Run scripts in one round trip, by their hash; what the server has not seen yet is sent whole."""
        replies = await self.many(
            [(_variant("EVALSHA", script), script.sha, len(keys), *keys, *args) for script, keys, args in calls]
        )
        unknown = [i for i, reply in enumerate(replies) if isinstance(reply, ReplyRefused) and reply.code == "NOSCRIPT"]
        again = [
            (_variant("EVAL", script), script.text, len(keys), *keys, *args)
            for script, keys, args in (calls[i] for i in unknown)
        ]
        for i, reply in zip(unknown, await self.many(again), strict=True):
            replies[i] = reply
        return replies

    async def memory_bytes(self) -> tuple[int, int]:
        """How much memory the server uses, and its ``maxmemory``: 0 for no limit."""
        info = (await self.call("INFO", "memory")).decode()
        values = dict(line.split(":", 1) for line in info.splitlines() if ":" in line)
        return int(values["used_memory"]), int(values["maxmemory"])

    async def time_ms(self) -> float:
        """The server's clock, Unix milliseconds."""
        seconds, micros = await self.call("TIME")
        return int(seconds) * 1000 + int(micros) / 1000

    async def read_new(self, packed: bytes, most_bytes: int) -> dict[bytes, list[RawEntry]]:
        """New entries of several streams, by a command that :func:`pack_read` packed.

        Raises:
            ReplyTooLarge: they have more than ``most_bytes``; all of them are delivered, that is pending, all the same.
        """
        reply = _accepted(await self._ask(packed, 1, most_bytes))
        return {key: _entries(raw) for key, raw in reply or []}

    async def pending(
        self, keys: Sequence[str], group: str, *, idle_ms: Sequence[int], count: int
    ) -> list[list[Pending] | ReplyRefused]:
        """Entries without an end of each stream, of all consumers, oldest first; in one round trip."""
        ranges = zip(keys, idle_ms, strict=True)
        replies = await self.many([("XPENDING", key, group, "IDLE", idle, "-", "+", count) for key, idle in ranges])
        return [reply if isinstance(reply, ReplyRefused) else _pendings(reply) for reply in replies]

    async def claim(
        self, key: str, group: str, consumer: str, entry: bytes, *, deliveries: int, most_bytes: int
    ) -> list[RawEntry]:
        """Make an entry ours and set its count of deliveries; none if it no longer exists.

        Raises:
            ReplyTooLarge: it has more than ``most_bytes``; it is ours all the same.
        """
        claim = ("XCLAIM", key, group, consumer, 0, entry, "RETRYCOUNT", deliveries)
        reply = _accepted(await self._ask(_pack(claim), 1, most_bytes))
        return [entry for entry in _entries([raw for raw in reply if raw]) if entry.fields is not None]

    async def set_deliveries(self, key: str, group: str, consumer: str, entry: bytes, deliveries: int) -> None:
        """Set an entry's count of deliveries."""
        await self.call("XCLAIM", key, group, consumer, 0, entry, "RETRYCOUNT", deliveries, "JUSTID")

    async def sizes_bytes(self, keys: Sequence[str]) -> list[int]:
        """How much memory each key takes; 0 for one that is not there. Costs the same whatever an entry's size is."""
        replies = await self.many([("MEMORY", "USAGE", key, "SAMPLES", 0) for key in keys])
        return [_accepted([reply]) or 0 for reply in replies]

    async def scan_streams(self, pattern: str) -> list[bytes]:
        """The names of all stream keys that match ``pattern``."""
        cursor: bytes | int = 0
        found: set[bytes] = set()
        while True:
            cursor, keys = await self.call("SCAN", cursor, "MATCH", pattern, "COUNT", 1000, "TYPE", "stream")
            found.update(keys)
            if int(cursor) == 0:
                return sorted(found)

    async def hash_of(self, key: str) -> dict[bytes, bytes]:
        """All fields of a hash."""
        return pairs(await self.call("HGETALL", key))


def _variant(command: str, script: Script) -> str:
    """How a script is run: one that only reads asks for no right to write its keys."""
    return f"{command}_RO" if script.reads_only else command


def pack_read(group: str, consumer: str, keys: Sequence[str], *, count: int, block_ms: int) -> bytes:
    """XREADGROUP as it goes over the wire: at most ``count`` new entries of each key; waits up to ``block_ms``."""
    fixed = ("XREADGROUP", "GROUP", group, consumer, "COUNT", count, "BLOCK", block_ms, "STREAMS")
    return _pack((*fixed, *keys, *[">"] * len(keys)))


def pairs(flat: list[bytes]) -> dict[bytes, bytes]:
    """Names and values in turn, as a dictionary."""
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _entries(raw: list[Any]) -> list[RawEntry]:
    return [RawEntry(entry, fields) for entry, fields in raw]


def _pendings(raw: list[Any]) -> list[Pending]:
    return [Pending(entry, consumer, int(idle), int(deliveries)) for entry, consumer, idle, deliveries in raw]


def _pack(command: Iterable[Encodable]) -> bytes:
    packed: bytes = pack_command(tuple(command))  # type: ignore[arg-type]
    return packed


def _accepted(replies: list[Reply]) -> Reply:
    """The one reply.

    Raises:
        ReplyRefused: it is an error.
    """
    (reply,) = replies
    if isinstance(reply, ReplyRefused):
        raise reply
    return reply


async def _greet(connection: AbstractConnection) -> None:
    """Make a connection that the server does not cut for room: ``maxmemory-clients`` is there for cameras'.

    A server, or a user, that does not have the command is used all the same.
    """
    await connection.on_connect()
    await connection.send_command("CLIENT", "NO-EVICT", "ON")
    await _reply(connection)


async def _reply(connection: AbstractConnection) -> Reply:
    try:
        reply = await connection.read_response()
    except ResponseError as error:
        return ReplyRefused(error)
    return ReplyRefused(reply) if isinstance(reply, ResponseError) else reply
