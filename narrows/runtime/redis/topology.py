"""What is behind an address, seen alike: one server, the master of Sentinels, or the nodes of a cluster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from narrows.runtime.redis.address import Address, Topology
from narrows.runtime.redis.cluster import Cluster
from narrows.runtime.redis.server import MOST_REPLY_BYTES, Encodable, Reply, ReplyRefused, Server, pack
from narrows.runtime.redis.tracking import Written

Command = Sequence[Encodable]


class Servers(Protocol):
    """Takes commands; a reply that is an error is a :class:`~narrows.runtime.redis.server.ReplyRefused`.

    Each raises ``StoreAway`` where a server cannot be reached.
    """

    async def ask(self, command: Command | bytes, *, at: str | None = None, most_bytes: int = ...) -> Reply:
        """One command's reply; ``at``: a key whose server it is for, where it names none or is packed already.

        Raises:
            ReplyTooLarge: the reply has more than ``most_bytes``.
        """

    async def ask_many(self, commands: Sequence[Command]) -> list[Reply]:
        """Several commands' replies, in one round trip."""

    async def ask_each(self, command: Command) -> list[Reply]:
        """Every server's reply.

        Raises:
            ReplyRefused: one is an error.
        """

    async def scan(self, *options: Encodable, most: int | None = None) -> set[bytes]:
        """The keys of every server that SCAN finds; not many more than ``most`` of each."""

    async def follow_writes(self, prefix: str, written: Written, goes_on: Callable[[], bool]) -> None:
        """Tell which keys beneath a prefix, of one slot, are written; returns when it is to be begun anew.

        Raises:
            ReplyRefused: the server does not say it, or not to this user.
        """

    def order_of(self, key: str) -> int:
        """Commands about keys of the same order are carried out in turn."""

    async def close(self) -> None:
        """Close all connections."""


class Alone:
    """One server."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def ask(
        self,
        command: Command | bytes,
        *,
        at: str | None = None,  # noqa: ARG002 - one server holds them all
        most_bytes: int = MOST_REPLY_BYTES,
    ) -> Reply:
        """As :class:`Servers`."""
        packed = command if isinstance(command, bytes) else pack(command)
        return (await self._server.ask(packed, 1, most_bytes))[0]

    async def ask_many(self, commands: Sequence[Command]) -> list[Reply]:
        """As :class:`Servers`."""
        return await self._server.ask(b"".join(map(pack, commands)), len(commands))

    async def ask_each(self, command: Command) -> list[Reply]:
        """As :class:`Servers`."""
        reply = await self.ask(command)
        if isinstance(reply, ReplyRefused):
            raise reply
        return [reply]

    async def scan(self, *options: Encodable, most: int | None = None) -> set[bytes]:
        """As :class:`Servers`."""
        return await self._server.scan(*options, most=most)

    async def follow_writes(self, prefix: str, written: Written, goes_on: Callable[[], bool]) -> None:
        """As :class:`Servers`."""
        await self._server.follow_writes(prefix, written, goes_on)

    def order_of(self, key: str) -> int:  # noqa: ARG002
        """As :class:`Servers`."""
        return 0

    async def close(self) -> None:
        """As :class:`Servers`."""
        await self._server.close()


def servers_at(url: str) -> Servers:
    """What is behind an address; connects when first used.

    Raises:
        ServiceError: the URL is none of Redis.
    """
    address = Address.parse(url)
    return Cluster(address) if address.topology is Topology.CLUSTER else Alone(Server.at(address))
