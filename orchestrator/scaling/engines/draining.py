"""Emptying a server before it goes: it is marked in Redis, dispatchers give it nothing new and say when it has nothing.

A mark is kept up while its server is being emptied. One that nobody kept up for :data:`ORPHAN_MS` is left over from a
leader that died, and is taken off: the server gets work again, and whoever leads decides anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable

import structlog

from narrows.contract.errors import RecordError, ServiceError
from narrows.contract.records.report import DispatcherReport, is_fresh
from narrows.contract.wire.keys import ScaleKeys
from narrows.runtime.redis.script import Script
from narrows.runtime.redis.store import Store, pairs
from orchestrator.scaling.replicas import ActuationFailed, StaleLeader
from orchestrator.servers.drained import HEARD_MS, who_holds

ORPHAN_MS = 60_000
_LOOK_S = 0.5
_KEYS = (ScaleKeys.FENCE, ScaleKeys.DRAINING)
_log = structlog.get_logger(__name__)

# KEYS: fence, draining    ARGV: token, "new" or "kept", addresses
# Answers the time (Unix ms), or 0: a newer leader is there, or a mark that should have been kept was taken off.
_MARK = Script(
    """
if tonumber(redis.call('GET', KEYS[1]) or '0') > tonumber(ARGV[1]) then return 0 end
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
for i = 3, #ARGV do
  if ARGV[2] == 'kept' and redis.call('HEXISTS', KEYS[2], ARGV[i]) == 0 then return 0 end
end
for i = 3, #ARGV do redis.call('HSET', KEYS[2], ARGV[i], string.format('%.0f', now_ms)) end
return now_ms
""",
    ("string", "hash"),
)
# KEYS: draining    ARGV: address and value in turn; a mark that was renewed meanwhile stays
_FORGET = Script(
    """
for i = 1, #ARGV, 2 do
  if redis.call('HGET', KEYS[1], ARGV[i]) == ARGV[i + 1] then redis.call('HDEL', KEYS[1], ARGV[i]) end
end
return 1
""",
    ("hash",),
)


class Draining:
    """The marks of servers that get nothing new. A server may have several addresses: dispatchers use one of them."""

    def __init__(self, store: Store, limit_s: float = 30.0) -> None:
        """Mark in this Redis.

        Args:
            store: where the dispatchers look.
            limit_s: how long a server may take to finish its work; then it goes all the same, and what it has is
                retried elsewhere.
        """
        self._store, self.limit_s = store, limit_s

    async def check(self, token: int) -> None:
        """Look whether this leader is still the last.

        Raises:
            StaleLeader: it is not.
            ActuationFailed: Redis does not answer.
        """
        try:
            last = int(await self._store.call("GET", ScaleKeys.FENCE) or 0)
        except ServiceError as error:
            raise ActuationFailed(str(error)) from None
        if last > token:
            raise StaleLeader(f"leader {last} came after {token}: nothing was changed")

    async def marked(self, addresses: Collection[str]) -> set[str]:
        """Those of the addresses that are being drained; marks that nobody keeps up are taken off them.

        Raises:
            ActuationFailed: Redis does not answer.
        """
        try:
            marks = await self._store.hash_of(ScaleKeys.DRAINING)
            now_ms = await self._store.time_ms()
            ours = {address: marks[address.encode()] for address in addresses if address.encode() in marks}
            left = {address: at for address, at in ours.items() if not is_fresh(_number(at), now_ms, ORPHAN_MS)}
            if left:
                _log.warning("drain_abandoned", addresses=sorted(left))
                await self._store.run(_FORGET, [ScaleKeys.DRAINING], *(each for mark in left.items() for each in mark))
        except ServiceError as error:
            raise ActuationFailed(str(error)) from None
        return ours.keys() - left.keys()

    async def mark(self, addresses: Iterable[str], token: int) -> float:
        """From now on these get nothing new; answers Redis' time, Unix ms.

        Raises:
            StaleLeader: a newer leader is there.
            ActuationFailed: Redis does not answer.
        """
        return await self._said("new", addresses, token)

    async def keep(self, addresses: Iterable[str], token: int) -> float:
        """They are still being drained; answers Redis' time, Unix ms.

        Raises:
            StaleLeader: a newer leader is there, or a mark was taken off.
            ActuationFailed: Redis does not answer.
        """
        return await self._said("kept", addresses, token)

    async def unmark(self, addresses: Collection[str]) -> None:
        """They may get work again, or are gone.

        Raises:
            ActuationFailed: Redis does not answer.
        """
        if addresses:
            try:
                await self._store.call("HDEL", ScaleKeys.DRAINING, *addresses)
            except ServiceError as error:
                raise ActuationFailed(str(error)) from None

    async def empty(self, addresses: Collection[str], begun_ms: float, token: int) -> bool:
        """Wait until no dispatcher has work at these, or the limit has passed; answers whether they are empty.

        Raises:
            StaleLeader: a newer leader is there, or a mark was taken off.
        """
        clock = asyncio.get_running_loop().time
        until_s = clock() + self.limit_s
        while clock() < until_s:
            try:
                now_ms = await self.keep(addresses, token)
                begun_ms = min(begun_ms, now_ms)  # the clock was set back since
                reports = await self._reports()
                held = any(who_holds(reports, address, int(begun_ms), int(now_ms)) for address in addresses)
                if not held and now_ms >= begun_ms + HEARD_MS:
                    return True
            except StaleLeader:
                raise
            except ServiceError as error:
                _log.debug("held_work_unknown", error=str(error))
            await asyncio.sleep(_LOOK_S)
        _log.warning("drain_timed_out", addresses=sorted(addresses), limit_s=self.limit_s)
        return False

    async def _said(self, how: str, addresses: Iterable[str], token: int) -> float:
        try:
            at_ms = float(await self._store.run(_MARK, _KEYS, token, how, *sorted(addresses)))
        except ServiceError as error:
            raise ActuationFailed(str(error)) from None
        if not at_ms:
            raise StaleLeader(f"leader {token} may not drain {', '.join(sorted(addresses))} (any more)")
        return at_ms

    async def _reports(self) -> list[DispatcherReport]:
        reports = []
        for data in pairs(await self._store.call("HGETALL", ScaleKeys.REPORTS)).values():
            try:
                reports.append(DispatcherReport.parse(data))
            except RecordError as error:
                _log.warning("report_unreadable", error=str(error))
        return reports


def _number(value: bytes) -> float:
    try:
        return float(value)
    except ValueError:
        return 0.0
