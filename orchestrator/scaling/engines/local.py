"""Servers that supervisors keep on their hosts (``narrows supervise``): asked through Redis, fenced by the token.

::

    scale ── target of each host ──► hash ScaleKeys.WANTED ──► narrows supervise ── starts, drains, stops
    observe ◄─────────────────────── hash ScaleKeys.SUPERVISORS ◄──┘

A supervisor outlives the autoscaler, and goes on with the last target. Its servers cannot outlive it, so one that is
silent counts for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files

from narrows.contract.errors import RecordError, ServiceError
from narrows.contract.records.report import FRESH_MS, is_fresh
from narrows.contract.wire.keys import ScaleKeys
from narrows.runtime.redis.script import Script
from narrows.runtime.redis.store import ReplyRefused, Store, pairs
from orchestrator.scaling.replicas import ActuationFailed, CapacityExhausted, Observed, StaleLeader
from orchestrator.servers.host_record import HostState, WantedServers

_WANT = Script(files("orchestrator.scaling").joinpath("lua", "want.lua").read_text(), ("hash", "string"))


class LocalServers:
    """The servers of all supervised hosts, as one :class:`~orchestrator.scaling.replicas.Replicas`."""

    name = "local"

    def __init__(self, store: Store) -> None:
        self._store = store

    async def observe(self) -> Observed:
        """What the supervisors say.

        Raises:
            ActuationFailed: none has spoken lately, or Redis is away.
        """
        wanted, hosts = await self._look()
        states = list(hosts.values())
        return Observed(
            wanted=sum(wanted.get(name, state.wanted) for name, state in hosts.items()),
            ready=sum(state.ready for state in states),
            starting=sum(state.starting for state in states),
            draining=sum(state.draining for state in states),
            slots=sum(state.slots for state in states),
            servers=tuple(sorted(address for state in states for address in state.servers)),
        )

    async def scale(self, target: int, seen: Observed, token: int) -> None:  # noqa: ARG002 - the token is compared
        """Have ``target`` servers on all hosts together.

        Raises:
            CapacityExhausted: there are not so many slots; nothing was changed.
            StaleLeader: a newer leader was there before; nothing was changed.
            ActuationFailed: no supervisor speaks, one that shall grow says that its servers do not start, or Redis is
                away.
        """
        wanted, hosts = await self._look()
        slots = sum(state.slots for state in hosts.values())
        if target > slots:
            raise CapacityExhausted(
                f"{target} servers are wanted and the hosts {', '.join(hosts)} have {slots} slots: give "
                "`narrows supervise` more with --slots, or start it on another host"
            )
        had = {name: wanted.get(name, state.wanted) for name, state in hosts.items()}
        shares = share_out(target, had, {name: state.slots for name, state in hosts.items()})
        await self._want(shares, token)
        for name, state in hosts.items():
            if state.trouble and shares[name] > state.ready:
                raise ActuationFailed(f"a server of {name} does not start: {state.trouble}")

    async def close(self) -> None:
        """The store is its owner's."""

    async def _want(self, shares: Mapping[str, int], token: int) -> None:
        records = [part for name, n in shares.items() for part in (name, WantedServers(n, token).to_json())]
        try:
            newer = await self._store.run(_WANT, (ScaleKeys.WANTED, ScaleKeys.FENCE), token, *records)
        except ServiceError as error:
            raise ActuationFailed(f"the supervisors cannot be told: {error}") from None
        if newer is not None:
            raise StaleLeader(
                f"a leader with token {newer.decode()} was here before ours, {token}: nothing was changed"
            )

    async def _look(self) -> tuple[dict[str, int], dict[str, HostState]]:
        """What living hosts were told, as far as they were, and how they stand."""
        try:
            states, wanted, clock = await self._store.many(
                [("HGETALL", ScaleKeys.SUPERVISORS), ("HGETALL", ScaleKeys.WANTED), ("TIME",)]
            )
            for reply in (states, wanted, clock):
                if isinstance(reply, ReplyRefused):
                    raise reply
        except ServiceError as error:
            raise ActuationFailed(f"the supervisors cannot be heard: {error}") from None
        now_ms = int(clock[0]) * 1000 + int(clock[1]) // 1000
        hosts = {name: state for name, state in _states(pairs(states)).items() if is_fresh(state.at_ms, now_ms)}
        if not hosts:
            raise ActuationFailed(
                f"no supervisor has spoken in the last {FRESH_MS / 1000:g} s: is `narrows supervise` running on the "
                "host of the servers, with the same --redis-url?"
            )
        told = _targets(pairs(wanted))
        return {name: told[name] for name in hosts if name in told}, hosts


def share_out(target: int, had: Mapping[str, int], slots: Mapping[str, int]) -> dict[str, int]:
    """Each host's share: what it had, one more where most slots are free, one less where there are most, one by one.

    Raises:
        ValueError: a target below 0 or above the slots.
    """
    if not 0 <= target <= sum(slots.values()):
        raise ValueError(f"{target} servers in {sum(slots.values())} slots")
    shares = {name: min(had.get(name, 0), most) for name, most in slots.items()}
    for _ in range(target - sum(shares.values())):
        shares[max(sorted(slots), key=lambda name: slots[name] - shares[name])] += 1
    for _ in range(sum(shares.values()) - target):
        shares[max(sorted(slots), key=lambda name: shares[name])] -= 1
    return shares


def _states(records: Mapping[bytes, bytes]) -> dict[str, HostState]:
    """The readable ones: a field of another's make is no reason to lose sight of the rest."""
    found = {}
    for name, record in sorted(records.items()):
        try:
            found[name.decode()] = HostState.parse(record)
        except (RecordError, UnicodeDecodeError):
            continue
    return found


def _targets(records: Mapping[bytes, bytes]) -> dict[str, int]:
    found = {}
    for name, record in records.items():
        try:
            found[name.decode()] = WantedServers.parse(record).target
        except (RecordError, UnicodeDecodeError):
            continue
    return found
