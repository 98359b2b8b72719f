"""Keeps as many servers on this host as are wanted, one in each slot.

::

    Redis: wanted ─► plan ─► start, or drain ─► dispatchers let go ─► stop
                       ▲                                              │
                     slots ─────────► Redis: servers, draining, state ┘

While Redis is away nothing changes: the servers there are go on, and those that die are started again.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Sequence
from contextlib import suppress

import structlog

from narrows.contract.errors import ServiceError
from narrows.contract.records.report import FRESH_MS, is_fresh
from narrows.runtime.cancelling import unless_stopped
from narrows.runtime.loop_guard import LoopGuard
from narrows.runtime.reminder import Reminder
from orchestrator.servers.drained import who_holds
from orchestrator.servers.host_record import HostState
from orchestrator.servers.host_registry import Heard, HostRegistry
from orchestrator.servers.silent import Silent
from orchestrator.servers.slot_plan import SlotPhase, plan
from orchestrator.servers.slot_server import SlotServer

_log = structlog.get_logger(__name__)
_LOOK_S = 0.5
_PROMPT_S = 1.0  # an answer of Redis that took longer came after a time in which nobody could report
_SPARE_S = 10.0
_AWAY_AT_THE_END_S = 3.0
"""Without Redis nobody can be seen to let a server go, and dispatchers get no frames; a restart of it takes less."""


class Supervisor:
    """The slots of one host.

    Attributes:
        target: servers wanted, as last heard.
    """

    def __init__(self, registry: HostRegistry, slots: Sequence[SlotServer], *, initial: int, drain_s: float) -> None:
        """Own ``slots``.

        Args:
            registry: our records.
            slots: all free.
            initial: servers to have until somebody says how many.
            drain_s: the longest that a server waits for its dispatchers before it is stopped.
        """
        self.target = initial
        self._registry, self._slots, self._drain_s = registry, slots, drain_s
        self._owner = secrets.token_hex(8)
        self._vacated = set[str]()  # addresses that have no server any more and may still be marked as draining
        self._away = False
        self._reminder = Reminder()
        self._steady_since_s = float("-inf")
        self._silent = Silent()

    async def run(self, stop: asyncio.Event, hurry: asyncio.Event) -> None:
        """Supervise until ``stop``; then drain the servers, but not longer than until ``hurry``, and stop them.

        Raises:
            ServiceError: another supervisor of this name is alive.
        """
        if not await unless_stopped(stop, self._claim()):
            return  # nothing was begun
        guard = LoopGuard()
        while not stop.is_set():
            with guard.one("supervising", "a look at the slots"):
                await self._look()
            await _pause(stop)
        await self._end(hurry)

    async def _claim(self) -> bool:
        """Wait for Redis, and until nobody of our name is alive; remove what a killed one left. Answers ``True``.

        Raises:
            ServiceError: somebody is.
        """
        first: HostState | None = None
        while True:
            try:
                heard = await self._registry.hear()
                last = heard.hosts.get(self._registry.name)
                if last is None or not is_fresh(last.at_ms, heard.now_ms):
                    await self._registry.clear()
                    return True
            except ServiceError as error:
                self._say_away(error)
            else:
                first = first or last
                if last != first:
                    raise ServiceError(
                        f"a supervisor with the name {self._registry.name} is alive: give this one another with --name"
                    )
            await asyncio.sleep(_LOOK_S)

    async def _look(self, *, leaving: bool = False) -> None:
        """Look at Redis and at the slots, and change what has to be changed."""
        for slot in self._slots:
            slot.check()
            slot.look()
        asked_s = time.monotonic()
        try:
            heard = await self._registry.hear()
        except ServiceError as error:
            self._say_away(error, leaving=leaving)
            return
        if self._away or time.monotonic() - asked_s > _PROMPT_S:
            self._steady_since_s = time.monotonic()
        self._change(self._wanted(heard, leaving=leaving), heard.now_ms)
        let_go = [slot for slot in self._slots if slot.phase is SlotPhase.DRAINING and self._let_go(slot, heard)]
        for slot in let_go:
            slot.phase = SlotPhase.STOPPING
        try:
            await self._tell(heard.now_ms)
            await self._bury(heard)
        except ServiceError as error:
            self._say_away(error, leaving=leaving)
        for slot in let_go:  # only now, for nobody shall find it any more when it ends
            slot.stop()

    def _wanted(self, heard: Heard, *, leaving: bool) -> int:
        if self._away:
            _log.info("redis_restored")
            self._away = False
            self._reminder.over()
        if heard.target is not None and heard.target != self.target:
            _log.info("target_changed", was=self.target, wanted=heard.target)
            self.target = heard.target
        return 0 if leaving else self.target

    def _change(self, target: int, now_ms: int) -> None:
        change = plan([slot.phase for slot in self._slots], target)
        for i in change.resume:
            self._slots[i].resume()
        for i in change.start:
            self._slots[i].start()
        for i in change.drain:
            self._slots[i].drain(now_ms)

    def _let_go(self, slot: SlotServer, heard: Heard) -> bool:
        """Whether nobody has work there; a dispatcher that could not reach Redis a moment ago is not taken for dead."""
        slot.draining_since_ms = min(slot.draining_since_ms, heard.now_ms)  # the clock was set back since
        holders = who_holds(heard.reports, slot.address, slot.draining_since_ms, heard.now_ms)
        if time.monotonic() - self._steady_since_s < FRESH_MS / 1000:
            holders = holders or ["whoever has not reported since Redis is back"]
        if holders and heard.now_ms - slot.draining_since_ms > self._drain_s * 1000:
            _log.warning("drain_timed_out", server=slot.address, holders=holders, after_s=self._drain_s)
            return True
        return not holders

    async def _tell(self, now_ms: int) -> None:
        servers = {slot.label: slot.record() for slot in self._in(SlotPhase.READY, SlotPhase.DRAINING)}
        draining = self._in(SlotPhase.DRAINING, SlotPhase.STOPPING)
        marks = {slot.address: slot.draining_since_ms for slot in draining if slot.draining_since_ms}
        for slot in self._in(SlotPhase.FREE, SlotPhase.STARTING):
            self._vacated |= slot.forget()
        vacated = self._vacated - marks.keys()
        await self._registry.tell(
            self._state(now_ms),
            servers,
            draining=marks,
            gone=[slot.label for slot in self._slots if slot.label not in servers],
            awake=[*(slot.address for slot in self._in(SlotPhase.READY)), *vacated],
        )
        self._vacated -= vacated

    async def _bury(self, heard: Heard) -> None:
        """Remove what a supervisor left that is gone with its host."""
        others = {name: state for name, state in heard.hosts.items() if name != self._registry.name}
        for name in self._silent.look(others, heard.now_ms, time.monotonic()):
            _log.warning("supervisor_records_removed", name=name)
            await self._registry.clear(name)

    def _state(self, now_ms: int) -> HostState:
        return HostState(
            at_ms=now_ms,
            owner=self._owner,
            slots=len(self._slots),
            wanted=self.target,
            ready=len(self._in(SlotPhase.READY)),
            starting=len(self._in(SlotPhase.STARTING, SlotPhase.DOWN, SlotPhase.FAILED)),
            draining=len(self._in(SlotPhase.DRAINING, SlotPhase.STOPPING)),
            servers=tuple(slot.address for slot in self._in(SlotPhase.READY, SlotPhase.DRAINING)),
            trouble=next((slot.trouble for slot in self._slots if slot.trouble), ""),
        )

    def _in(self, *phases: SlotPhase) -> list[SlotServer]:
        return [slot for slot in self._slots if slot.phase in phases]

    async def _end(self, hurry: asyncio.Event) -> None:
        """Drain and stop all, and leave no record; stop them at once where Redis went too."""
        give_up_s = time.monotonic() + self._drain_s + _SPARE_S
        heard_s = time.monotonic()
        while not hurry.is_set() and time.monotonic() < give_up_s:
            await self._look(leaving=True)
            if len(self._in(SlotPhase.FREE)) == len(self._slots):
                break
            if not self._away:
                heard_s = time.monotonic()
            elif time.monotonic() - heard_s > _AWAY_AT_THE_END_S:
                _log.warning("drain_skipped", reason="redis_away")
                break
            await _pause(hurry)
        for slot in self._slots:
            slot.stop()
        for slot in self._slots:
            await slot.ended()
            self._vacated |= slot.forget()
        try:
            await self._registry.leave(self._vacated)
        except ServiceError as error:
            _log.warning("supervisor_records_left", error=str(error))

    def _say_away(self, error: ServiceError, *, leaving: bool = False) -> None:
        if self._reminder.due(str(error)):
            _log.warning("redis_away", leaving=leaving, error=str(error))
        self._away = True
        self._silent.begin_anew()


async def _pause(until: asyncio.Event) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(_LOOK_S):
            await until.wait()
