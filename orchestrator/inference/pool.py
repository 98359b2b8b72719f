"""One bundle's decoder on several Triton servers, which come, drain, die and go while it works.

::

    service_discovery ─► an endpoint for each server, and who keeps it:

              ┌─► connect ─► in rotation ─► lost, or draining ─► let go ─► wait ─┐
              └──────────────────│───────────────────────────────────────────────┘
    lend() ─► choose an endpoint ─► a slot of its decoder

A server that fails is left alone for a while, longer each time, and then connected to anew: what answers there may be
another process, with other shapes and without our shared memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial

import structlog

from narrows.contract.errors import InferenceFailed, NarrowsError, ServiceError
from narrows.contract.records.report import ServerReport
from narrows.runtime.cancelling import cancel_all
from narrows.runtime.loop_guard import LoopGuard
from orchestrator.discovery.service_discovery import ServiceDiscovery
from orchestrator.inference.choice import choose
from orchestrator.inference.contract import Batch, Inputs, ServedOutput, ServerLost, Slot
from orchestrator.inference.endpoint import Connection, Endpoint, ServerDecoder
from orchestrator.inference.triton_model import ModelMissing
from orchestrator.telemetry.faults import Cause, Report, unreported

_log = structlog.get_logger(__name__)
_LOOK_S = 1.0
_STRIKES = 2

ConnectServer = Callable[[str], Awaitable[ServerDecoder]]
_Failed = Callable[[Endpoint, Connection, NarrowsError], None]


class NoServer(ServiceError):
    """There is no server that takes work now."""


class ServerPool:
    """A :class:`~orchestrator.inference.contract.Decoder` over all servers there are. Make it in a running loop."""

    def __init__(
        self,
        service_discovery: ServiceDiscovery,
        connect: ConnectServer,
        *,
        max_batch: int,
        slots: int,
        report: Report = unreported,
        guard: LoopGuard | None = None,
    ) -> None:
        """Begin to connect to the servers there are.

        Args:
            service_discovery: which servers there are, and who is draining.
            connect: makes the decoder on one server, by its address; raises ``ServiceError``.
            max_batch: the largest batch wanted.
            slots: batches that one server may have at most.
            report: is told of servers that are lost while others go on.
            guard: of the program's loops.
        """
        self._service_discovery, self._connect, self._report = service_discovery, connect, report
        self._max_batch, self._slots = max_batch, slots
        self._endpoints: dict[str, Endpoint] = {}
        self._keepers: dict[str, asyncio.Task[None]] = {}
        self._partings: dict[asyncio.Task[None], Connection] = {}
        self._renewals: dict[str, asyncio.Task[None]] = {}
        self._lent: dict[Slot, tuple[Slot, Connection]] = {}
        self._freed = asyncio.Event()
        self._turns = 0
        self._guard = guard or LoopGuard()
        self._unfollow = service_discovery.follow(self._follow)
        self._follow()

    @property
    def max_batch(self) -> int:
        """The largest batch that any server takes; what is wanted, while none is there."""
        there = [
            endpoint.connection.decoder.max_batch
            for endpoint in self._endpoints.values()
            if endpoint.connection is not None
        ]
        return max(there, default=self._max_batch)

    @property
    def rotation(self) -> list[Endpoint]:
        """The servers that take work."""
        return [endpoint for endpoint in self._endpoints.values() if endpoint.in_rotation]

    async def lend(self) -> Slot:
        """A slot of the server with the least work; waits while all have as much as they may.

        Raises:
            NoServer, ModelMissing: no server takes work; the message says what each one's trouble is.
        """
        endpoint, connection = await self._choose()
        try:
            slot = await connection.decoder.lend()
        except BaseException:
            self._release(connection)
            raise
        pooled = _PooledSlot(slot, endpoint, connection, self._failed)
        self._lent[pooled] = slot, connection
        return pooled

    def give_back(self, slot: Slot) -> None:
        """See :class:`orchestrator.inference.contract.Decoder`."""
        own, connection = self._lent.pop(slot)
        connection.decoder.give_back(own)
        self._release(connection)

    async def ready(self) -> bool:
        """Whether a server takes work."""
        return any(endpoint.in_rotation for endpoint in self._endpoints.values())

    def servers(self) -> Mapping[str, ServerReport]:
        """How each server stands, by address."""
        return {address: endpoint.report() for address, endpoint in self._endpoints.items()}

    @property
    def heads_differ(self) -> bool:
        """Whether a server in rotation answers with other heads than the bundle's."""
        return any(each.connection is not None and each.connection.decoder.heads_differ for each in self.rotation)

    def renew(self) -> None:
        """Connect to every server anew, for its outputs changed; the old connection takes work meanwhile."""
        for endpoint in self.rotation:
            if endpoint.address not in self._renewals:
                task = self._renewals[endpoint.address] = asyncio.create_task(self._renew(endpoint))
                task.add_done_callback(partial(self._renewed, endpoint.address))

    async def close(self) -> None:
        """Let all servers go, at once."""
        self._unfollow()
        await cancel_all([*self._keepers.values(), *self._renewals.values()])
        for endpoint in self._endpoints.values():
            self._part(endpoint)
        for connection in self._partings.values():
            connection.abandon()
        await asyncio.gather(*self._partings)

    def _release(self, connection: Connection) -> None:
        connection.give_back()
        self._freed.set()

    async def _choose(self) -> tuple[Endpoint, Connection]:
        while True:
            endpoint = choose(self._endpoints.values())
            if endpoint is not None and endpoint.connection is not None:
                self._turns += 1
                endpoint.turn = self._turns
                endpoint.connection.lend()
                return endpoint, endpoint.connection
            hope = self._service_discovery.looking or any(
                endpoint.in_rotation or endpoint.coming for endpoint in self._endpoints.values()
            )
            if not hope:
                raise self._nobody()
            self._freed.clear()
            await self._freed.wait()

    def _nobody(self) -> ServiceError:
        errors = [
            endpoint.error
            for endpoint in self._endpoints.values()
            if endpoint.error is not None and not endpoint.draining
        ]
        draining = [f"{address} is draining" for address, endpoint in self._endpoints.items() if endpoint.draining]
        reasons = [*map(str, errors), *draining, *self._service_discovery.gaps()]
        kind = ModelMissing if errors and all(isinstance(error, ModelMissing) for error in errors) else NoServer
        return kind("; ".join(reasons) or "no Triton server is known")

    def _follow(self) -> None:
        """Servers changed: new ones get an endpoint and who keeps it, those that went give theirs up."""
        for address in self._service_discovery.addresses - self._endpoints.keys():
            endpoint = self._endpoints[address] = Endpoint(address, self._slots)
            keeping = self._guard.keep("servers", partial(self._keep, endpoint))
            self._keepers[address] = asyncio.create_task(keeping)
        for address in self._endpoints.keys() - self._service_discovery.addresses:
            gone = self._endpoints.pop(address)
            gone.draining = True
            gone.changed.set()
            self._part(gone)
            self._keepers.pop(address).cancel()
        for endpoint in self._endpoints.values():
            endpoint.draining = endpoint.address in self._service_discovery.draining
            endpoint.changed.set()
        self._freed.set()

    async def _keep(self, endpoint: Endpoint) -> None:
        while (
            self._endpoints.get(endpoint.address) is endpoint
        ):  # also if this task's cancellation is swallowed on its way
            if not endpoint.draining and endpoint.connection is None:
                await self._admit(endpoint)
            if endpoint.connection is not None:
                await self._watch(endpoint)
            if endpoint.draining:
                self._part(endpoint)
                endpoint.changed.clear()
                await endpoint.changed.wait()
            else:
                await asyncio.sleep(endpoint.pause_s())

    async def _admit(self, endpoint: Endpoint) -> None:
        try:
            decoder = await self._connect(endpoint.address)
            try:
                instances = await decoder.instances()
            except BaseException:
                await decoder.close()
                raise
        except ServiceError as error:
            self._lost(endpoint, None, error)
            return
        except InferenceFailed as error:  # it refuses to say what it serves
            self._lost(endpoint, None, ServiceError(str(error)))
            return
        endpoint.admit(Connection(decoder), instances)
        _log.info("server_joined", server=endpoint.address, instances=instances)
        self._freed.set()

    async def _renew(self, endpoint: Endpoint) -> None:
        """Exchange the connection of a server in rotation; it keeps the one it has where there is none to be had."""
        before = endpoint.connection
        with self._guard.one("servers", f"a new connection to {endpoint.address}"):
            try:
                decoder = await self._connect(endpoint.address)
            except NarrowsError as error:
                _log.warning("connection_kept", server=endpoint.address, error=str(error))
                return
            if before is None or endpoint.connection is not before:
                await decoder.close()  # it was lost meanwhile, or is leaving: who keeps it connects anew
                return
            self._part(endpoint)
            endpoint.connection = Connection(decoder)
            self._freed.set()

    def _renewed(self, address: str, task: asyncio.Task[None]) -> None:
        if self._renewals.get(address) is task:
            del self._renewals[address]

    async def _watch(self, endpoint: Endpoint) -> None:
        """Until it is lost or draining; one that twice in a row is not ready and answers nothing is lost."""
        strikes = 0
        while (connection := endpoint.connection) is not None and not endpoint.draining:
            answered = endpoint.frames
            endpoint.changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S):
                    await endpoint.changed.wait()
                continue
            if endpoint.connection is not connection:  # it was exchanged, and the one of before may be closed
                continue
            if endpoint.frames > answered or await connection.decoder.ready():
                strikes = 0
                continue
            strikes += 1
            if strikes == _STRIKES:
                self._lost(endpoint, connection, ServiceError(f"Triton at {endpoint.address} is not ready"))

    def _lost(self, endpoint: Endpoint, connection: Connection | None, error: ServiceError) -> None:
        """Take a server out; failures of a connection that was given up before say nothing about the present one."""
        if endpoint.connection is not connection:
            return
        self._part(endpoint)
        endpoint.lose(error)
        if any(other.in_rotation for other in self._endpoints.values()) and not endpoint.told:
            endpoint.told = True
            self._report(Cause.TRITON_SERVER_LOST, str(error))
        self._freed.set()

    def _failed(self, endpoint: Endpoint, connection: Connection, error: NarrowsError) -> None:
        """A batch failed. A server that fails them all is taken out too, if another can show that it does better."""
        endpoint.failures += 1
        if isinstance(error, ServiceError):
            self._lost(endpoint, connection, error)
        elif (
            endpoint.connection is connection
            and endpoint.refused()
            and any(other is not endpoint for other in self.rotation)
        ):
            self._lost(endpoint, connection, ServiceError(f"{error} (as all others before it)"))

    def _part(self, endpoint: Endpoint) -> None:
        """Close a server's connection once it has answered what it was given."""
        connection, endpoint.connection = endpoint.connection, None
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

    def __init__(self, slot: Slot, endpoint: Endpoint, connection: Connection, failed: _Failed) -> None:
        self._slot, self._endpoint, self._connection, self._failed = slot, endpoint, connection, failed

    @property
    def served(self) -> tuple[ServedOutput, ...]:
        """See :class:`orchestrator.inference.contract.Slot`."""
        return self._slot.served

    @property
    def inputs(self) -> Inputs:
        """See :class:`orchestrator.inference.contract.Slot`."""
        return self._slot.inputs

    async def run(self, n: int) -> Batch:
        """See :class:`orchestrator.inference.contract.Slot`."""
        endpoint = self._endpoint
        endpoint.outstanding += n
        try:
            outputs = await self._slot.run(n)
        except ServiceError as error:
            self._failed(endpoint, self._connection, error)
            raise ServerLost(str(error)) from error
        except InferenceFailed as failure:
            self._failed(endpoint, self._connection, failure)
            raise
        finally:
            endpoint.outstanding -= n
        endpoint.frames += n
        if endpoint.connection is self._connection:  # an answer from before it was lost proves nothing
            endpoint.answered()
        return outputs
