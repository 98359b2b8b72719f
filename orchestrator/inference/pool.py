"""One bundle's decoder on several Triton servers, which come, drain, die and go while it works.

::

    roster ─► a seat for each server, and who keeps it:

              ┌─► connect ─► in rotation ─► lost, or draining ─► let go ─► wait ─┐
              └──────────────────│───────────────────────────────────────────────┘
    slot() ─► choose a seat ─► lend

A server that fails is left alone for a while, longer each time, and then connected to anew: what answers there may be
another process, with other shapes and without our shared memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial

import numpy as np
import structlog
from numpy.typing import NDArray

from narrows.errors import InferenceFailed, NarrowsError, ServiceError
from narrows.loop_guard import LoopGuard
from orchestrator.dispatch.cancelling import cancel_all
from orchestrator.faults import Cause, Report, unreported
from orchestrator.inference.choice import choose
from orchestrator.inference.contract import ServerLost, Slot
from orchestrator.inference.seat import Connection, Seat, ServerDecoder
from orchestrator.inference.triton_model import ModelMissing
from orchestrator.replicas.roster import Roster
from orchestrator.report import ServerReport

_log = structlog.get_logger(__name__)
_LOOK_S = 1.0
_STRIKES = 2

ConnectServer = Callable[[str], Awaitable[ServerDecoder]]
_Failed = Callable[[Seat, Connection, NarrowsError], None]


class NoServer(ServiceError):
    """There is no server that takes work now."""


class ServerPool:
    """A :class:`~orchestrator.inference.contract.Decoder` over all servers of a roster. Make it in a running loop."""

    def __init__(
        self,
        roster: Roster,
        connect: ConnectServer,
        *,
        max_batch: int,
        slots: int,
        report: Report = unreported,
        guard: LoopGuard | None = None,
    ) -> None:
        """Begin to connect to the servers there are.

        Args:
            roster: which servers there are, and who is draining.
            connect: makes the decoder on one server, by its address; raises ``ServiceError``.
            max_batch: the largest batch wanted.
            slots: batches that one server may have at most.
            report: is told of servers that are lost while others go on.
            guard: of the program's loops.
        """
        self._roster, self._connect, self._report = roster, connect, report
        self._max_batch, self._slots = max_batch, slots
        self._seats: dict[str, Seat] = {}
        self._keepers: dict[str, asyncio.Task[None]] = {}
        self._partings: dict[asyncio.Task[None], Connection] = {}
        self._freed = asyncio.Event()
        self._turns = 0
        self._guard = guard or LoopGuard()
        self._unfollow = roster.follow(self._follow)
        self._follow()

    @property
    def max_batch(self) -> int:
        """The largest batch that any server takes; what is wanted, while none is there."""
        there = [seat.connection.decoder.max_batch for seat in self._seats.values() if seat.connection is not None]
        return max(there, default=self._max_batch)

    @property
    def rotation(self) -> list[Seat]:
        """The servers that take work."""
        return [seat for seat in self._seats.values() if seat.in_rotation]

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[Slot]:
        """Borrow a slot of the server with the least work; waits while all have as much as they may.

        Raises:
            NoServer, ModelMissing: no server takes work; the message says what each one's trouble is.
        """
        seat, connection = await self._lend()
        try:
            async with connection.decoder.slot() as slot:
                yield _PooledSlot(slot, seat, connection, self._failed)
        finally:
            connection.give_back()
            self._freed.set()

    async def ready(self) -> bool:
        """Whether a server takes work."""
        return any(seat.in_rotation for seat in self._seats.values())

    def servers(self) -> Mapping[str, ServerReport]:
        """How each server stands, by address."""
        return {address: seat.report() for address, seat in self._seats.items()}

    async def close(self) -> None:
        """Let all servers go, at once."""
        self._unfollow()
        await cancel_all(self._keepers.values())
        for seat in self._seats.values():
            self._part(seat)
        for connection in self._partings.values():
            connection.abandon()
        await asyncio.gather(*self._partings)

    async def _lend(self) -> tuple[Seat, Connection]:
        while True:
            seat = choose(self._seats.values())
            if seat is not None and seat.connection is not None:
                self._turns += 1
                seat.turn = self._turns
                seat.connection.lend()
                return seat, seat.connection
            hope = self._roster.looking or any(seat.in_rotation or seat.coming for seat in self._seats.values())
            if not hope:
                raise self._nobody()
            self._freed.clear()
            await self._freed.wait()

    def _nobody(self) -> ServiceError:
        errors = [seat.error for seat in self._seats.values() if seat.error is not None and not seat.draining]
        draining = [f"{address} is draining" for address, seat in self._seats.items() if seat.draining]
        reasons = [*map(str, errors), *draining, *self._roster.gaps()]
        kind = ModelMissing if errors and all(isinstance(error, ModelMissing) for error in errors) else NoServer
        return kind("; ".join(reasons) or "no Triton server is known")

    def _follow(self) -> None:
        """The roster changed: new servers get a seat and who keeps it, those that went give theirs up."""
        for address in self._roster.addresses - self._seats.keys():
            seat = self._seats[address] = Seat(address, self._slots)
            keeping = self._guard.keep("servers", partial(self._keep, seat))
            self._keepers[address] = asyncio.create_task(keeping)
        for address in self._seats.keys() - self._roster.addresses:
            gone = self._seats.pop(address)
            gone.draining = True
            gone.changed.set()
            self._part(gone)
            self._keepers.pop(address).cancel()
        for seat in self._seats.values():
            seat.draining = seat.address in self._roster.draining
            seat.changed.set()
        self._freed.set()

    async def _keep(self, seat: Seat) -> None:
        while self._seats.get(seat.address) is seat:  # also if this task's cancellation is swallowed on its way
            if not seat.draining:
                await self._admit(seat)
            if seat.connection is not None:
                await self._watch(seat)
            if seat.draining:
                self._part(seat)
                seat.changed.clear()
                await seat.changed.wait()
            else:
                await asyncio.sleep(seat.pause_s())

    async def _admit(self, seat: Seat) -> None:
        try:
            decoder = await self._connect(seat.address)
            try:
                instances = await decoder.instances()
            except BaseException:
                await decoder.close()
                raise
        except ServiceError as error:
            self._lost(seat, None, error)
            return
        except InferenceFailed as error:  # it refuses to say what it serves
            self._lost(seat, None, ServiceError(str(error)))
            return
        seat.admit(Connection(decoder), instances)
        _log.info("a server takes work", server=seat.address, instances=instances)
        self._freed.set()

    async def _watch(self, seat: Seat) -> None:
        """Until it is lost or draining; one that twice in a row is not ready and answers nothing is lost."""
        strikes = 0
        while (connection := seat.connection) is not None and not seat.draining:
            answered = seat.frames
            seat.changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S):
                    await seat.changed.wait()
                continue
            if seat.frames > answered or await connection.decoder.ready():
                strikes = 0
                continue
            strikes += 1
            if strikes == _STRIKES:
                self._lost(seat, connection, ServiceError(f"Triton at {seat.address} is not ready"))

    def _lost(self, seat: Seat, connection: Connection | None, error: ServiceError) -> None:
        """Take a server out; failures of a connection that was given up before say nothing about the present one."""
        if seat.connection is not connection:
            return
        self._part(seat)
        seat.lose(error)
        if any(other.in_rotation for other in self._seats.values()) and not seat.told:
            seat.told = True
            self._report(Cause.TRITON_SERVER_LOST, str(error))
        self._freed.set()

    def _failed(self, seat: Seat, connection: Connection, error: NarrowsError) -> None:
        """A batch failed. A server that fails them all is taken out too, if another can show that it does better."""
        seat.failures += 1
        if isinstance(error, ServiceError):
            self._lost(seat, connection, error)
        elif seat.connection is connection and seat.refused() and any(other is not seat for other in self.rotation):
            self._lost(seat, connection, ServiceError(f"{error} (as all others before it)"))

    def _part(self, seat: Seat) -> None:
        """Close a server's connection once it has answered what it was given."""
        connection, seat.connection = seat.connection, None
        if connection is not None:
            parting = asyncio.create_task(self._close_when_idle(connection))
            self._partings[parting] = connection
            parting.add_done_callback(lambda task: self._partings.pop(task, None))

    async def _close_when_idle(self, connection: Connection) -> None:
        with self._guard.one("servers", "a connection that was let go"):
            await connection.until_idle()
            await connection.decoder.close()


class _PooledSlot:
    """A server's slot that tells the pool how its batches fare."""

    def __init__(self, slot: Slot, seat: Seat, connection: Connection, failed: _Failed) -> None:
        self._slot, self._seat, self._connection, self._failed = slot, seat, connection, failed

    @property
    def symbols(self) -> NDArray[np.int8]:
        """See :class:`orchestrator.inference.contract.Slot`."""
        return self._slot.symbols

    @property
    def levels(self) -> NDArray[np.int32]:
        """See :class:`orchestrator.inference.contract.Slot`."""
        return self._slot.levels

    async def run(self, n: int) -> NDArray[np.uint8]:
        """See :class:`orchestrator.inference.contract.Slot`."""
        seat = self._seat
        seat.outstanding += n
        try:
            labels = await self._slot.run(n)
        except ServiceError as error:
            self._failed(seat, self._connection, error)
            raise ServerLost(str(error)) from error
        except InferenceFailed as failure:
            self._failed(seat, self._connection, failure)
            raise
        finally:
            seat.outstanding -= n
        seat.frames += n
        if seat.connection is self._connection:  # an answer from before it was lost proves nothing
            seat.answered()
        return labels
