"""Who owns which shard: leases with fencing tokens, shared out evenly among the living dispatchers."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from narrows.contract.errors import ServiceError
from narrows.contract.wire.keys import DISPATCHERS_KEY, UNREADY_KEY, ShardKeys
from narrows.runtime.redis.replies import Remedy
from narrows.runtime.redis.store import Reply, ReplyRefused, Store, StoreAway, concerns_all, pairs
from orchestrator.dispatch.scripts import HEARTBEAT
from orchestrator.shards.fence import token_of, uncounted
from orchestrator.shards.scripts import ACQUIRE, RELEASE, RENEW

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Lease:
    """The right to a shard: a token, valid as long as no newer one was given out.

    ``good_until_s`` is what this process may assume without asking, on its monotonic clock.
    """

    shard: int
    token: str
    good_until_s: float
    lost: bool = False

    def good(self, now_s: float) -> bool:
        """Whether the lease cannot have gone to another yet."""
        return not self.lost and now_s < self.good_until_s


def fair_share(shards: int, living: Sequence[str], me: str, missing: Mapping[str, int] | None = None) -> int:
    """How many shards ``me`` should own: all are owned, and no two who share them differ by more than one.

    They are shared among those who can decode the most: ``missing`` says how many bundles each cannot decode now.
    """
    if me not in living:
        return 0
    lacks = missing or {}
    least = min(lacks.get(name, 0) for name in living)
    able = sorted(name for name in living if lacks.get(name, 0) == least)
    if me not in able:
        return 0
    return shards // len(able) + (able.index(me) < shards % len(able))


@dataclass
class Leases:
    """This dispatcher's leases in an install of ``shards`` shards.

    Attributes:
        refused: what Redis said last of shards whose lease it neither renews nor gives: their keys are amiss, say, or
            their node of a cluster is away.
    """

    store: Store
    owner: str
    shards: int
    ttl_ms: int
    monotonic: Callable[[], float] = time.monotonic
    held: dict[int, Lease] = field(default_factory=dict)
    refused: dict[int, ServiceError] = field(default_factory=dict)
    replaced: Callable[[], None] = uncounted

    async def heartbeat(self, missing: int = 0) -> int:
        """Say that we live, and how many bundles we cannot decode; answers how many shards we should own."""
        names = await self.store.run(HEARTBEAT, [DISPATCHERS_KEY], self.owner, self.ttl_ms)
        living = [_text(name) for name in names]
        return fair_share(self.shards, living, self.owner, await self._missing(living, missing))

    async def _missing(self, living: Sequence[str], own: int) -> dict[str, int]:
        """What every living dispatcher lacks; those that are gone are forgotten."""
        say = ("HSET", UNREADY_KEY, self.owner, own) if own else ("HDEL", UNREADY_KEY, self.owner)
        _, stored = await self.store.many([say, ("HGETALL", UNREADY_KEY)])
        if isinstance(stored, ReplyRefused):
            if stored.remedy is not Remedy.NONE:
                raise stored
            return {}
        found = {name: _count(count) for name, count in pairs(stored).items()}
        if gone := [name for name in found if _text(name) not in living]:
            await self.store.call("HDEL", UNREADY_KEY, *gone)
        return {_text(name): count for name, count in found.items()}

    async def renew(self) -> list[Lease]:
        """Renew what is held; answers what was lost to others."""
        leases = list(self.held.values())
        self.refused.clear()
        asked_s = self.monotonic()
        replies = await self.store.run_many(
            [(RENEW, _lease_keys(lease.shard), (lease.token, self.owner, self.ttl_ms)) for lease in leases]
        )
        lost = []
        for lease, reply in zip(leases, replies, strict=True):
            if reply == 1:
                lease.good_until_s = asked_s + self.ttl_ms / 1000
            elif isinstance(reply, ReplyRefused):
                self.refused[lease.shard] = reply
            elif reply == 0:
                lost.append(self.drop(lease))
        return lost

    async def acquire(self, most: int) -> list[Lease]:
        """Take free shards until ``most`` are held; answers the new leases."""
        gained, left = [], self._in_our_order()
        while left and len(self.held) < most:
            some = left[: most - len(self.held)]
            left = left[len(some) :]
            asked_s = self.monotonic()
            for shard, reply in zip(some, await self._acquire(some), strict=True):
                if isinstance(reply, ServiceError):
                    self.refused[shard] = reply
                elif (token := token_of(reply, ShardKeys(shard).fence, self.replaced)) is not None:
                    self.held[shard] = Lease(shard, token, asked_s + self.ttl_ms / 1000)
                    gained.append(self.held[shard])
        return gained

    async def _acquire(self, shards: Sequence[int]) -> list[Reply | StoreAway]:
        """Ask for shards at once; where their node of a cluster is away, shards of others may be had."""
        try:
            return await self.store.run_many(
                [(ACQUIRE, _lease_keys(shard), (self.owner, self.ttl_ms)) for shard in shards]
            )
        except StoreAway as away:
            if len({self.store.order_of(ShardKeys(shard).lease) for shard in range(self.shards)}) == 1:
                raise
            return [away] * len(shards)

    async def release(self, lease: Lease) -> None:
        """Give a lease back; it counts as lost here first."""
        self.drop(lease)
        await self.store.run(RELEASE, [ShardKeys(lease.shard).lease], lease.token, self.owner)

    async def leave(self) -> None:
        """Stop counting as a living dispatcher."""
        await self.store.call("ZREM", DISPATCHERS_KEY, self.owner)
        await self.store.call("HDEL", UNREADY_KEY, self.owner)

    @property
    def away(self) -> list[int]:
        """Shards of which nothing is known, because their server cannot answer now."""
        return sorted(shard for shard, why in self.refused.items() if concerns_all(why))

    def drop(self, lease: Lease) -> Lease:
        """Forget a lease that another has, or that a script refused."""
        lease.lost = True
        if self.held.get(lease.shard) is lease:
            del self.held[lease.shard]
        return lease

    def _in_our_order(self) -> list[int]:
        """Shards not held, beginning at a place of our own so that starting dispatchers do not race for the same."""
        first = hash(self.owner) % self.shards
        return [s for s in (*range(first, self.shards), *range(first)) if s not in self.held]


def _text(name: bytes) -> str:
    return name.decode("utf-8", "replace")


def _count(field: bytes) -> int:
    """What is no number lacks nothing: the dispatcher itself says it again at its next heartbeat."""
    return int(field) if field.isdigit() and len(field) < 10 else 0


def _lease_keys(shard: int) -> list[str]:
    keys = ShardKeys(shard)
    return [keys.lease, keys.fence]
