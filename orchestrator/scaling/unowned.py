"""Frames in shards that no reporting dispatcher owns: nobody else counts them.

Finishing deletes an entry, so a stream's length is what is unfinished, pending or not yet read; neither a lag of NULL
nor trimming can fool that.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from itertools import islice

from narrows.contract.errors import RecordError, StreamIdInvalid
from narrows.contract.wire.install import Install
from narrows.contract.wire.keys import GROUP, INSTALL_KEY, ShardKeys
from narrows.runtime.redis.store import ReplyRefused, Store
from orchestrator.shards.entry_id import IdRange, entry_ms
from orchestrator.shards.place import place_key
from orchestrator.shards.scripts import BACKLOG, FIRST_ENTRY_BYTES, MOST_BACKLOG_FRAMES

EVERY_S = 5.0
MOST_STREAMS = 20_000
_AT_ONCE = 500
_PATTERN = "narrows:{*}:in:*"


@dataclass(frozen=True, slots=True)
class Backlog:
    """Frames without an end, and the age of the oldest."""

    frames: int = 0
    age_s: float = 0.0

    def __add__(self, other: Backlog) -> Backlog:
        return Backlog(self.frames + other.frames, max(self.age_s, other.age_s))


class UnownedBacklog:
    """Counts at most every five seconds, and at most so much; what is beyond is left out, so it is a lower bound."""

    def __init__(self, store: Store, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._store, self._monotonic = store, monotonic
        self._counted_s = float("-inf")
        self._last = Backlog()

    async def count(self, reporting: Collection[str]) -> Backlog:
        """The backlog of all shards but those whose lease one of ``reporting`` (names of dispatchers) holds.

        Raises:
            ServiceError: Redis is away, or refuses.
        """
        if self._monotonic() - self._counted_s >= EVERY_S:
            self._last = await self._count(reporting)
            self._counted_s = self._monotonic()
        return self._last

    async def _count(self, reporting: Collection[str]) -> Backlog:
        shards = await self._shards()
        leases = await self._store.many([("GET", ShardKeys(shard).lease) for shard in range(shards)])
        unowned = {shard for shard, lease in enumerate(leases) if _owner(lease) not in reporting}
        if not unowned:
            return Backlog()
        keys: dict[int, list[bytes]] = {}
        for key in await self._store.scan_streams(_PATTERN, most=MOST_STREAMS):
            shard = _shard_of(key, shards)
            if shard in unowned:
                keys.setdefault(shard, []).append(key)
        parts = [part for found in keys.values() for part in _parts(found)]
        replies = await self._store.run_many([(BACKLOG, part, (GROUP, FIRST_ENTRY_BYTES)) for part in parts])
        now_ms = await self._store.time_ms()
        answers = [each for reply in replies if not isinstance(reply, ReplyRefused) for each in reply]
        ids = IdRange(now_ms)
        ages = [ids.age_ms(entry_ms(first)) / 1000 for _, first, _ in answers if first]
        return Backlog(sum(min(int(length), MOST_BACKLOG_FRAMES) for length, _, _ in answers), max([0.0, *ages]))

    async def _shards(self) -> int:
        """How many shards there are; none before the first dispatcher."""
        record = await self._store.call("GET", INSTALL_KEY)
        try:
            return 0 if record is None else Install.parse(record).shards
        except RecordError:
            return 0


def _owner(lease: bytes | ReplyRefused | None) -> str | None:
    """The name behind the token."""
    if lease is None or isinstance(lease, ReplyRefused):
        return None
    return lease.partition(b" ")[2].decode("utf-8", "replace")


def _shard_of(key: bytes, shards: int) -> int | None:
    try:
        return place_key(key, shards)[0]
    except StreamIdInvalid:
        return None


def _parts(keys: Iterable[bytes]) -> Iterable[list[bytes]]:
    rest = iter(keys)
    while part := list(islice(rest, _AT_ONCE)):
        yield part
