"""A Redis Cluster: each command goes to the node that serves its key's slot, those of several nodes at the same time.

::

    commands ─ by slot ─┬─ node A: one round trip ─┬─ replies
                        └─ node B: one round trip ─┤
                 ▲                                 └─ MOVED: the map of slots is read anew, the command asked again
                 │                                    ASK: asked at the node to which the slot is being moved
                 └──── CLUSTER SLOTS ◄────────────── away, CLUSTERDOWN: the map is read anew before the next command

Nothing is waited for here: who asks is told at once that a node is away, and asks again at its own pace.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence

from redis.exceptions import AskError, ClusterDownError, MovedError

from narrows.runtime.redis.address import Address, Endpoint
from narrows.runtime.redis.server import (
    MOST_REPLY_BYTES,
    Encodable,
    NodeAway,
    Reply,
    ReplyRefused,
    Server,
    StoreAway,
    pack,
)
from narrows.runtime.redis.slots import SlotMap, host_said, key_of, slot_of
from narrows.runtime.redis.tracking import Written

_TRIES = 3
"""A command is sent once by an old map, and by the map after MOVED; once more if the slot moved on meanwhile."""
_MAP_S = 1.0
_AMONG_OTHERS_S = 2.0
"""What a node has to answer commands that were asked together with those of other nodes: less than a lease lasts."""
_LEFT_ALONE_S = 2.0
_READ_AGAIN_S = 0.05
"""Between two readings of the map: whoever was told of a move in less waits, for the map is old all the same."""
_ASKING = pack(("ASKING",))
Command = Sequence[Encodable]


class Cluster:
    """The nodes behind an address; as :class:`~narrows.runtime.redis.topology.Servers`."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._servers: dict[Endpoint, Server] = {}
        self._silent: dict[Endpoint, float] = {}
        self._map: SlotMap | None = None
        self._stale = True
        self._knows: Endpoint | None = None
        self._read_s = float("-inf")
        self._reading = asyncio.Lock()

    async def ask(
        self, command: Command | bytes, *, at: str | None = None, most_bytes: int = MOST_REPLY_BYTES
    ) -> Reply:
        """As :class:`~narrows.runtime.redis.topology.Servers`."""
        key: str | bytes | None = at
        if at is None and not isinstance(command, bytes):
            key = key_of(command)
        packed = command if isinstance(command, bytes) else pack(command)
        reply: Reply = None
        for _ in range(_TRIES):
            try:
                node = (await self._slots()).node(slot_of(key), _text(key))
            except ClusterDownError as error:
                return self._uncovered(error)
            (reply,) = await self._ask(node, packed, 1, most_bytes)
            if not self._moved(reply):
                break
        return await self._followed(packed, reply, most_bytes)

    async def ask_many(self, commands: Sequence[Command]) -> list[Reply]:
        """As :class:`~narrows.runtime.redis.topology.Servers`; a node's that is away are refused with ``NodeAway``."""
        replies: list[Reply] = [None] * len(commands)
        left = list(range(len(commands)))
        for _ in range(_TRIES):
            groups = self._by_node(await self._slots(), commands, left, replies)
            alone = len(groups) == 1 and len(left) == len(commands)
            await asyncio.gather(
                *(self._ask_group(node, group, commands, replies, alone=alone) for node, group in groups.items())
            )
            left = [i for i in left if self._moved(replies[i])]
            if not left:
                break
        for i, reply in enumerate(replies):
            replies[i] = await self._followed_or_away(commands[i], reply)
        return replies

    async def ask_each(self, command: Command) -> list[Reply]:
        """As :class:`~narrows.runtime.redis.topology.Servers`."""
        nodes = (await self._slots()).nodes
        replies = [reply for (reply,) in await asyncio.gather(*(self._ask(node, pack(command), 1) for node in nodes))]
        for reply in replies:
            if isinstance(reply, ReplyRefused):
                raise reply
        return replies

    async def scan(self, *options: Encodable, most: int | None = None) -> set[bytes]:
        """As :class:`~narrows.runtime.redis.topology.Servers`."""
        nodes = (await self._slots()).nodes
        try:
            found = await asyncio.gather(*(self._server(node).scan(*options, most=most) for node in nodes))
        except StoreAway:
            self._stale = True
            raise
        return set().union(*found)

    async def follow_writes(self, prefix: str, written: Written, goes_on: Callable[[], bool]) -> None:
        """As :class:`~narrows.runtime.redis.topology.Servers`; ends when another node serves the slot."""
        slot = slot_of(prefix)
        try:
            node = (await self._slots()).node(slot, prefix)
        except ClusterDownError as error:
            raise self._uncovered(error) from None

        def stays() -> bool:
            return self._map is not None and self._map.serves(node, slot)

        try:
            await self._server(node).follow_writes(prefix, written, lambda: stays() and goes_on())
        except StoreAway:
            self._stale = True
            raise

    def order_of(self, key: str) -> int:
        """As :class:`~narrows.runtime.redis.topology.Servers`: a slot moves as a whole."""
        return slot_of(key)

    async def close(self) -> None:
        """As :class:`~narrows.runtime.redis.topology.Servers`."""
        for server in self._servers.values():
            await server.close()

    def _by_node(
        self, slots: SlotMap, commands: Sequence[Command], left: Iterable[int], replies: list[Reply]
    ) -> dict[Endpoint, list[int]]:
        """Which commands each node is asked; what nobody serves has its reply at once."""
        groups: dict[Endpoint, list[int]] = {}
        for i in left:
            key = key_of(commands[i])
            try:
                groups.setdefault(slots.node(slot_of(key), _text(key)), []).append(i)
            except ClusterDownError as error:
                replies[i] = self._uncovered(error)
        return groups

    async def _ask_group(
        self, node: Endpoint, group: list[int], commands: Sequence[Command], replies: list[Reply], *, alone: bool
    ) -> None:
        packed = b"".join(pack(commands[i]) for i in group)
        try:
            if alone:
                found = await self._ask(node, packed, len(group))
            else:
                found = await self._ask_among_others(node, packed, len(group))
        except StoreAway as away:
            if alone:
                raise
            found = [NodeAway(away)] * len(group)
        for i, reply in zip(group, found, strict=True):
            replies[i] = reply

    async def _ask_among_others(self, node: Endpoint, packed: bytes, count: int) -> list[Reply]:
        """Ask a node for whom others wait; one that was silent is left alone for a while."""
        if time.monotonic() < self._silent.get(node, 0.0):
            raise StoreAway(f"the cluster's node {node} gave no answer a moment ago")
        begun_s = time.monotonic()
        try:
            return await self._ask(node, packed, count, limit_s=_AMONG_OTHERS_S)
        except StoreAway:
            if time.monotonic() - begun_s >= _AMONG_OTHERS_S:
                self._silent[node] = time.monotonic() + _LEFT_ALONE_S
            raise

    async def _ask(
        self,
        node: Endpoint,
        packed: bytes,
        count: int,
        most_bytes: int = MOST_REPLY_BYTES,
        limit_s: float | None = None,
    ) -> list[Reply]:
        server = self._server(node)
        try:
            found = await server.ask(packed, count, most_bytes, limit_s)
        except StoreAway:
            self._stale = True
            raise
        if any(isinstance(reply, ReplyRefused) and reply.code in ("CLUSTERDOWN", "READONLY") for reply in found):
            self._stale = True
        for reply in found:
            if isinstance(reply, ReplyRefused) and isinstance(reply.error, AskError):  # a MOVED is one as well
                reply.error.host = host_said(reply.error.host, node)
        return found

    def _moved(self, reply: Reply) -> bool:
        if isinstance(reply, ReplyRefused) and isinstance(reply.error, MovedError):
            self._stale, self._knows = True, Endpoint(reply.error.host, int(reply.error.port))
            return True
        return False

    async def _followed_or_away(self, command: Command, reply: Reply) -> Reply:
        try:
            return await self._followed(pack(command), reply, MOST_REPLY_BYTES) if _asks(reply) else reply
        except StoreAway as away:
            return NodeAway(away)

    async def _followed(self, packed: bytes, reply: Reply, most_bytes: int) -> Reply:
        """The reply of the node to which a slot is being moved, where the key is there already."""
        if not (isinstance(reply, ReplyRefused) and isinstance(reply.error, AskError) and _asks(reply)):
            return reply
        target = Endpoint(reply.error.host, int(reply.error.port))
        return (await self._ask(target, _ASKING + packed, 2, most_bytes))[1]

    def _uncovered(self, error: ClusterDownError) -> ReplyRefused:
        self._stale = True
        return ReplyRefused(error)

    def _server(self, node: Endpoint) -> Server:
        if node not in self._servers:
            address = Address.parse(self._address.of_server(node))
            self._servers[node] = Server.at(address, f"the cluster's node {node}", member=True)
        return self._servers[node]

    async def _slots(self) -> SlotMap:
        """The map of slots, read anew where it was found to be old.

        Raises:
            StoreAway: no node answers.
        """
        if self._map is not None and not self._stale:
            return self._map
        async with self._reading:
            if self._map is None or self._stale:
                await asyncio.sleep(max(0.0, self._read_s + _READ_AGAIN_S - time.monotonic()))
                self._stale = False
                try:
                    self._map = await self._read_map()
                except BaseException:
                    self._stale = True
                    raise
                self._read_s = time.monotonic()
            return self._map

    async def _read_map(self) -> SlotMap:
        known = self._map.members if self._map is not None else ()
        if self._knows is not None:  # a slot was moved to it; the others may not have heard of it yet
            known = (self._knows, *known)
        causes = []
        for node in dict.fromkeys((*known, *self._address.servers)):
            try:
                (reply,) = await self._server(node).ask(pack(("CLUSTER", "SLOTS")), 1, limit_s=_MAP_S)
            except StoreAway as error:
                causes.append(str(error))
                continue
            if isinstance(reply, ReplyRefused):
                causes.append(f"{node}: {reply}")
                continue
            return SlotMap.parse(reply, node)
        raise StoreAway(f"no node of the cluster says who serves what: {'; '.join(causes)}")


def _asks(reply: Reply) -> bool:
    return isinstance(reply, ReplyRefused) and reply.code == "ASK"


def _text(key: str | bytes | None) -> str:
    return key.decode("utf-8", "replace") if isinstance(key, bytes) else key or ""
