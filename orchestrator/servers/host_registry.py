"""A supervisor's half of Redis: what is wanted, what dispatchers say, and the records of its servers.

All that is written is written again at every look, so a Redis that lost its memory knows it again at once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import structlog

from narrows.contract.errors import RecordError
from narrows.contract.records.report import DispatcherReport
from narrows.contract.wire.keys import ScaleKeys
from narrows.runtime.redis.store import Encodable, Reply, ReplyRefused, Store, pairs
from orchestrator.discovery.record import ServerRecord
from orchestrator.servers.host_record import HostState, WantedServers

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Heard:
    """One look at Redis.

    Attributes:
        now_ms: its clock, Unix milliseconds.
        target: servers wanted of this host; ``None``: nobody said.
        hosts: what each supervisor said last, by name; ours too.
        reports: the last of each dispatcher.
    """

    now_ms: int
    target: int | None
    hosts: Mapping[str, HostState]
    reports: tuple[DispatcherReport, ...]


class HostRegistry:
    """The records of the supervisor ``name``; those of its servers are named ``name/slot``.

    Every method raises ``ServiceError`` when Redis is away or refuses.
    """

    def __init__(self, store: Store, name: str) -> None:
        self.name = name
        self._store = store
        self._unreadable: bytes | None = None

    async def hear(self) -> Heard:
        """Look."""
        clock, wanted, hosts, reports = await self._all(
            ("TIME",),
            ("HGET", ScaleKeys.WANTED, self.name),
            ("HGETALL", ScaleKeys.SUPERVISORS),
            ("HGETALL", ScaleKeys.REPORTS),
        )
        return Heard(
            now_ms=int(clock[0]) * 1000 + int(clock[1]) // 1000,
            target=self._target(wanted),
            hosts=_states(pairs(hosts)),
            reports=tuple(_reports(pairs(reports).values())),
        )

    async def tell(
        self,
        state: HostState,
        servers: Mapping[str, ServerRecord],
        draining: Mapping[str, int],
        gone: Collection[str],
        awake: Collection[str],
    ) -> None:
        """Write how things stand.

        Args:
            state: of the whole host.
            servers: those that are to be found, by slot.
            draining: since when (Unix ms) the servers at these addresses drain.
            gone: slots whose server has no record.
            awake: addresses at which nothing drains.
        """
        commands: list[tuple[Encodable, ...]] = [("HSET", ScaleKeys.SUPERVISORS, self.name, state.to_json())]
        commands += [("HSET", ScaleKeys.DRAINING, address, since_ms) for address, since_ms in draining.items()]
        commands += [("HSET", ScaleKeys.SERVERS, slot, record.to_json()) for slot, record in servers.items()]
        if gone:
            commands.append(("HDEL", ScaleKeys.SERVERS, *gone))
        if awake:
            commands.append(("HDEL", ScaleKeys.DRAINING, *awake))
        await self._all(*commands)

    async def clear(self, name: str | None = None) -> None:
        """Remove the records of all servers of a supervisor that is gone; by default of one of our name."""
        (servers,) = await self._all(("HGETALL", ScaleKeys.SERVERS))
        owner = f"{name or self.name}/".encode()
        left = {slot: raw for slot, raw in pairs(servers).items() if slot.startswith(owner)}
        addresses = [record.address for record in map(_record, left.values()) if record is not None]
        commands: list[tuple[Encodable, ...]] = [("HDEL", ScaleKeys.SUPERVISORS, name or self.name)]
        if left:
            commands.append(("HDEL", ScaleKeys.SERVERS, *left))
        if addresses:
            commands.append(("HDEL", ScaleKeys.DRAINING, *addresses))
        await self._all(*commands)

    async def leave(self, vacated: Collection[str]) -> None:
        """Remove every record, what is wanted of us too: who starts anew begins anew.

        Args:
            vacated: addresses without a server that may still be marked as draining.
        """
        await self.clear()
        commands: list[tuple[Encodable, ...]] = [("HDEL", ScaleKeys.WANTED, self.name)]
        if vacated:
            commands.append(("HDEL", ScaleKeys.DRAINING, *vacated))
        await self._all(*commands)

    async def _all(self, *commands: tuple[Encodable, ...]) -> list[Reply]:
        replies = await self._store.many(commands)
        for reply in replies:
            if isinstance(reply, ReplyRefused):
                raise reply
        return replies

    def _target(self, raw: bytes | None) -> int | None:
        if raw is None:
            return None
        try:
            return WantedServers.parse(raw).target
        except RecordError as error:
            if raw != self._unreadable:
                _log.warning("target_unreadable", error=str(error))
            self._unreadable = raw
            return None


def _states(records: Mapping[bytes, bytes]) -> dict[str, HostState]:
    found = {}
    for name, record in records.items():
        try:
            found[name.decode()] = HostState.parse(record)
        except (RecordError, UnicodeDecodeError) as error:
            _log.debug("supervisor_record_unreadable", error=str(error))
    return found


def _record(raw: bytes) -> ServerRecord | None:
    try:
        return ServerRecord.parse(raw)
    except RecordError:
        return None


def _reports(records: Iterable[bytes]) -> Iterable[DispatcherReport]:
    for record in records:
        try:
            yield DispatcherReport.parse(record)
        except RecordError as error:
            _log.debug("report_unreadable", error=str(error))
