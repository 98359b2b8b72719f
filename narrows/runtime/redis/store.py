"""The Redis server, typed: raw replies in, values out, connection troubles as ``ServiceError``.

What is behind the address is :mod:`~narrows.runtime.redis.topology`'s matter: one server, the master of Sentinels, or
the nodes of a cluster.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

from msgspec import Struct

from narrows.runtime.redis.replies import Remedy
from narrows.runtime.redis.script import Script
from narrows.runtime.redis.server import (
    Encodable,
    Reply,
    ReplyRefused,
    ReplyTooLarge,
    StoreAway,
    pack,
    within,
)
from narrows.runtime.redis.topology import Servers, servers_at
from narrows.runtime.redis.tracking import Written

__all__ = ["Encodable", "Reply", "ReplyRefused", "ReplyTooLarge", "StoreAway", "within"]


def concerns_all(error: Exception) -> bool:
    """Whether an error of this store says something of the server, and not of the one key that was asked for."""
    return isinstance(error, StoreAway) or (isinstance(error, ReplyRefused) and error.remedy is not Remedy.NONE)


class RawEntry(Struct, frozen=True):
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


class PackedRead(NamedTuple):
    """A command that reads streams of one shard, as it goes over the wire, and one of its keys."""

    command: bytes
    key: str


class Store:
    """The servers behind one address (7 or newer)."""

    def __init__(self, servers: Servers) -> None:
        self._servers = servers

    @classmethod
    def connect(cls, url: str) -> Self:
        """A store at ``url``; connects when first used.

        Raises:
            ServiceError: the URL is none of Redis.
        """
        return cls(servers_at(url))

    async def close(self) -> None:
        """Close all connections."""
        await self._servers.close()

    def order_of(self, key: str) -> int:
        """Commands about keys of the same order are carried out in turn; those of others may be away by themselves."""
        return self._servers.order_of(key)

    async def call(self, *command: Encodable) -> Reply:
        """One command, its raw reply.

        Raises:
            ReplyRefused: the server answered with an error.
            StoreAway: the server cannot be reached.
        """
        return _accepted(await self._servers.ask(command))

    async def many(self, commands: Sequence[Sequence[Encodable]]) -> list[Reply]:
        """Several commands in one round trip; a refused one has :class:`ReplyRefused` as its reply.

        So has one whose node of a cluster is away, where others' answered.

        Raises:
            StoreAway: the server cannot be reached.
        """
        return await self._servers.ask_many(commands) if commands else []

    async def answers(self, key: str) -> bool:
        """Whether the server that holds a key answers."""
        try:
            return bool(await self._servers.ask(("PING",), at=key) == b"PONG")
        except StoreAway:
            return False

    async def run(self, script: Script, keys: Sequence[str | bytes], *args: Encodable) -> Reply:
        """Run one script; as :meth:`call`."""
        return _accepted((await self.run_many([(script, keys, args)]))[0])

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
        """How much memory the fullest server uses, and its ``maxmemory``: 0 for no limit."""
        found = [_memory_bytes(info) for info in await self._servers.ask_each(("INFO", "memory"))]
        return max(found, key=lambda used_most: used_most[0] / (used_most[1] or float("inf")))

    async def time_ms(self, at: str | None = None) -> float:
        """The clock of the server that holds the key ``at``, Unix milliseconds."""
        seconds, micros = _accepted(await self._servers.ask(("TIME",), at=at))
        return int(seconds) * 1000 + int(micros) / 1000

    async def read_new(self, read: PackedRead, most_bytes: int) -> dict[bytes, list[RawEntry]]:
        """New entries of several streams, by a command that :func:`pack_read` packed.

        Raises:
            ReplyTooLarge: they have more than ``most_bytes``; all of them are delivered, that is pending, all the same.
        """
        reply = _accepted(await self._servers.ask(read.command, at=read.key, most_bytes=most_bytes))
        return {key: _entries(raw) for key, raw in reply or []}

    async def follow_writes(self, prefix: str, written: Written, goes_on: Callable[[], bool]) -> None:
        """Tell which keys beneath a prefix, of one shard, are written; returns when it is to be begun anew.

        Args:
            prefix: of the keys.
            written: is told keys, or ``None`` where any may have been written: at first, say.
            goes_on: asked about once a second.

        Raises:
            ReplyRefused: the server does not say it, or not to this user.
            StoreAway: it cannot be reached, or the connection broke.
        """
        await self._servers.follow_writes(prefix, written, goes_on)

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
        reply = _accepted(await self._servers.ask(claim, most_bytes=most_bytes))
        return [entry for entry in _entries([raw for raw in reply if raw]) if entry.fields is not None]

    async def set_deliveries(self, key: str, group: str, consumer: str, entry: bytes, deliveries: int) -> None:
        """Set an entry's count of deliveries."""
        await self.call("XCLAIM", key, group, consumer, 0, entry, "RETRYCOUNT", deliveries, "JUSTID")

    async def sizes_bytes(self, keys: Sequence[str]) -> list[int]:
        """How much memory each key takes; 0 for one that is not there. Costs the same whatever an entry's size is."""
        replies = await self.many([("MEMORY", "USAGE", key, "SAMPLES", 0) for key in keys])
        return [_accepted(reply) or 0 for reply in replies]

    async def scan_streams(self, pattern: str, *, most: int | None = None) -> list[bytes]:
        """The names of the stream keys that match ``pattern``; not many more than ``most`` of each server."""
        return sorted(await self._servers.scan("MATCH", pattern, "COUNT", 1000, "TYPE", "stream", most=most))

    async def hash_of(self, key: str) -> dict[bytes, bytes]:
        """All fields of a hash."""
        return pairs(await self.call("HGETALL", key))


def _variant(command: str, script: Script) -> str:
    """How a script is run: one that only reads asks for no right to write its keys."""
    return f"{command}_RO" if script.reads_only else command


def pack_read(group: str, consumer: str, keys: Sequence[str], *, count: int, block_ms: int | None = None) -> PackedRead:
    """XREADGROUP of one shard's streams: at most ``count`` new entries of each; waits up to ``block_ms``, if at all."""
    waits = () if block_ms is None else ("BLOCK", block_ms)
    fixed = ("XREADGROUP", "GROUP", group, consumer, "COUNT", count, *waits, "STREAMS")
    return PackedRead(pack((*fixed, *keys, *[">"] * len(keys))), keys[0])


def pairs(flat: list[bytes]) -> dict[bytes, bytes]:
    """Names and values in turn, as a dictionary."""
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _entries(raw: list[Any]) -> list[RawEntry]:
    return [RawEntry(entry, fields) for entry, fields in raw]


def _pendings(raw: list[Any]) -> list[Pending]:
    return [Pending(entry, consumer, int(idle), int(deliveries)) for entry, consumer, idle, deliveries in raw]


def _memory_bytes(info: bytes) -> tuple[int, int]:
    values = dict(line.split(":", 1) for line in info.decode().splitlines() if ":" in line)
    return int(values["used_memory"]), int(values["maxmemory"])


def _accepted(reply: Reply) -> Reply:
    """The reply.

    Raises:
        ReplyRefused: it is an error.
    """
    if isinstance(reply, ReplyRefused):
        raise reply
    return reply
