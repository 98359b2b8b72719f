"""The servers there are: those given by address, those behind names, and those that registered themselves.

::

    addresses given ─┐
    names ─ resolve ─┼─► addresses ─┐
    Redis: servers ──┘              ├─► who follows is told
    Redis: draining ────────────────┘

What cannot be asked just now stays as it was last seen: a name server or a Redis that is away takes no server away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial

import structlog

from narrows.contract.errors import RecordError, ServiceError
from narrows.contract.wire.keys import ScaleKeys
from narrows.runtime.loop_guard import LoopGuard
from narrows.runtime.redis.store import ReplyRefused, Store, pairs
from orchestrator.discovery.address import Address
from orchestrator.discovery.record import ServerRecord
from orchestrator.discovery.resolve import Resolve, resolve
from orchestrator.discovery.sources import EndpointSource

_log = structlog.get_logger(__name__)
_LOOK_S, _RESOLVE_S = 0.2, 2.0


class ServiceDiscovery:
    """The servers that the sources name, and those of them that are draining.

    Attributes:
        addresses: ``host:port`` of every server.
        draining: those that get no new work.
    """

    def __init__(
        self, sources: Sequence[EndpointSource], store: Store | None = None, resolver: Resolve = resolve
    ) -> None:
        """Know the servers given by address; the others are found by :meth:`run`.

        Args:
            sources: where to look.
            store: the Redis that says who registered and who is draining; without one nobody does.
            resolver: what turns a name into addresses.
        """
        self._named = [source.address for source in sources if source.named and source.address is not None]
        self._given = frozenset(str(source.address) for source in sources if source.address and not source.named)
        self._registering = any(source.address is None for source in sources)
        self._store, self._resolve = store, resolver
        self._looked = store is None
        self._behind: dict[Address, frozenset[str]] = {}
        self._unresolved: dict[Address, str] = {}
        self._registered: frozenset[str] = frozenset()
        self._drained: frozenset[str] = frozenset()
        self._unreadable: frozenset[bytes] = frozenset()
        self._followers: list[Callable[[], None]] = []
        self.addresses, self.draining = self._given, frozenset[str]()

    def follow(self, told: Callable[[], None]) -> Callable[[], None]:
        """Have ``told`` called at each change; answers what ends that."""
        self._followers.append(told)

        def end() -> None:
            with suppress(ValueError):
                self._followers.remove(told)

        return end

    @property
    def looking(self) -> bool:
        """Whether a source was not asked yet, so that more servers may be known in a moment."""
        unasked = any(name not in self._behind and name not in self._unresolved for name in self._named)
        return unasked or (self._registering and not self._looked)

    def gaps(self) -> list[str]:
        """Which sources name no server now, and why; for people."""
        nameless = [name for name in self._named if not self._behind.get(name)]
        found = [f"{name} {self._unresolved.get(name, 'has no address')}" for name in nameless]
        return [
            *found,
            *(
                ["none has registered in Redis: start `narrows supervise` with the same --redis-url"]
                if self._registering and not self._registered
                else []
            ),
        ]

    async def run(self, guard: LoopGuard | None = None) -> None:
        """Look for ever: at Redis several times a second, at names every few seconds."""
        guard = guard or LoopGuard()
        names = [guard.keep("names of servers", partial(self._watch_name, name)) for name in self._named]
        await asyncio.gather(guard.keep("servers in Redis", self._watch_redis), *names)

    async def look(self) -> None:
        """Look at Redis once.

        Raises:
            ServiceError: it is away, or refuses.
        """
        if self._store is None:
            return
        replies = await self._store.many([("HGETALL", ScaleKeys.DRAINING), ("HGETALL", ScaleKeys.SERVERS)])
        for reply in replies:
            if isinstance(reply, ReplyRefused):
                raise reply
        first, self._looked = not self._looked, True
        self._drained = frozenset(map(_plain, pairs(replies[0])))
        if self._registering:
            self._registered = self._addresses_in(pairs(replies[1]))
        self._settle(first=first)

    async def look_up(self, name: Address) -> None:
        """Resolve a name once."""
        first = name not in self._behind and name not in self._unresolved
        try:
            self._behind[name] = await self._resolve(name)
            self._unresolved.pop(name, None)
        except (OSError, UnicodeError) as error:
            if name not in self._unresolved:
                _log.warning("name_unresolved", name=str(name), error=str(error))
            self._unresolved[name] = f"does not resolve: {error}"
        self._settle(first=first)

    async def _watch_redis(self) -> None:
        while self._store is not None:
            try:
                await self.look()
            except ServiceError as error:
                _log.debug("servers_unread", error=str(error))
            await asyncio.sleep(_LOOK_S)

    async def _watch_name(self, name: Address) -> None:
        while True:
            await self.look_up(name)
            await asyncio.sleep(_RESOLVE_S)

    def _settle(self, *, first: bool) -> None:
        """Tell who follows what changed, and the first answer of a source in any case."""
        behind = {str(name): addresses for name, addresses in self._behind.items()}
        addresses = self._given.union(self._registered, *behind.values())
        draining = self._drained.union(*(behind[name] for name in self._drained & behind.keys())) & addresses
        if (addresses, draining) == (self.addresses, self.draining) and not first:
            return
        if addresses != self.addresses:
            _log.info("servers_changed", addresses=sorted(addresses))
        self.addresses, self.draining = addresses, draining
        for told in list(self._followers):
            told()

    def _addresses_in(self, records: Mapping[bytes, bytes]) -> frozenset[str]:
        found, unreadable = set(), set()
        for server, record in records.items():
            try:
                found.add(ServerRecord.parse(record).address)
            except RecordError as error:
                unreadable.add(server)
                if server not in self._unreadable:
                    _log.warning("server_ignored", server=server.decode("utf-8", "replace"), error=str(error))
        self._unreadable = frozenset(unreadable)
        return frozenset(found)


def _plain(address: bytes) -> str:
    """An address as this package writes it, so that two ways to write one are the same."""
    text = address.decode("utf-8", "replace")
    try:
        return str(Address.parse(text))
    except ServiceError:
        return text
