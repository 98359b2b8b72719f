"""One slot of a host and the server in it: started, kept and stopped in threads, so that the event loop goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from threading import Event

import structlog

from narrows.contract.errors import ServiceError
from narrows.runtime.backoff import Backoff
from orchestrator.discovery.record import ServerRecord
from orchestrator.servers.cpu_quota import CpuGroup
from orchestrator.servers.cpu_use import used_s
from orchestrator.servers.keeper import Keeper
from orchestrator.servers.local_triton import LocalTriton
from orchestrator.servers.slot_plan import SlotPhase

_log = structlog.get_logger(__name__)
_PAUSES_S = (1.0, 30.0)


class SlotServer:
    """See :class:`SlotPhase` for its life. The methods return at once; :meth:`ended` waits.

    Attributes:
        label: the slot's name, which other programs see.
        phase: where the slot is.
        address: the server's for gRPC, ``host:port``; empty before it was ready.
        metrics_address: where Prometheus asks it.
        draining_since_ms: since when it drains, Redis' clock.
        trouble: why the server does not start; empty if it does.
        group: what limits its share of the processor; ``None``: nothing does.
    """

    def __init__(self, label: str, launch: Callable[[Event], LocalTriton], group: CpuGroup | None = None) -> None:
        self.label, self.group = label, group
        self.phase = SlotPhase.FREE
        self.address = self.metrics_address = ""
        self.draining_since_ms = 0
        self.trouble = ""
        self._launch = launch
        self._backoff = Backoff(*_PAUSES_S)
        self._server: LocalTriton | None = None
        self._keeper: Keeper | None = None
        self._task: asyncio.Task[None] | None = None
        self._given_up = Event()

    def record(self) -> ServerRecord:
        """What others need to know of the server."""
        cores, cpu_s = (None, None) if self.group is None else (self.group.cores, used_s(self.group.folder))
        return ServerRecord(self.address, self.label, self.metrics_address, cores, cpu_s)

    def start(self) -> None:
        """Have a server here."""
        self.phase = SlotPhase.STARTING
        self._given_up = Event()
        self._task = asyncio.create_task(self._start())

    def look(self) -> None:
        """See whether the server lives; its keeper starts it again at its address."""
        if self._server is not None and self.phase in (SlotPhase.READY, SlotPhase.DOWN):
            self.phase = SlotPhase.READY if self._server.running() else SlotPhase.DOWN

    def drain(self, now_ms: int) -> None:
        """Want the server no more; one that does not work needs no draining."""
        if self.phase is SlotPhase.READY:
            self.phase, self.draining_since_ms = SlotPhase.DRAINING, now_ms
            _log.info("server_draining", slot=self.label, server=self.address)
        else:
            self.stop()

    def resume(self) -> None:
        """Want it again after all."""
        self.phase = SlotPhase.READY if self._server is not None and self._server.running() else SlotPhase.DOWN
        _log.info("server_drain_cancelled", slot=self.label, server=self.address)

    def stop(self) -> None:
        """End the server, whatever it has."""
        if self.phase is SlotPhase.FREE:
            return
        self.phase = SlotPhase.STOPPING
        self._given_up.set()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._stop())

    def forget(self) -> set[str]:
        """Forget where the server was that is gone; answers the address, if it had one."""
        was = {self.address} - {""}
        self.address, self.draining_since_ms = "", 0
        return was

    async def ended(self) -> None:
        """Wait until what was begun last is done.

        Raises:
            Exception: what went wrong in it, if it was no ``ServiceError``.
        """
        if self._task is not None:
            await self._task

    def check(self) -> None:
        """Raise what went wrong unexpectedly."""
        if self._task is not None and self._task.done():
            self._task.result()

    async def _start(self) -> None:
        _log.info("server_starting", slot=self.label)
        try:
            server = await asyncio.to_thread(self._launch, self._given_up)
        except (ServiceError, OSError) as error:  # no process may be had, or no space for its log
            await self._failed(error)
            return
        self._server, self.draining_since_ms, self.trouble = server, 0, ""
        self.address, self.metrics_address = server.grpc_address, server.metrics_address
        self._backoff.reset()
        if self.phase is SlotPhase.STOPPING:
            await self._stop()
            return
        self._keeper = Keeper(f"the server in slot {self.label}", server)
        self._keeper.__enter__()
        self.phase = SlotPhase.READY
        _log.info("server_ready", slot=self.label, server=self.address, metrics=self.metrics_address, pid=server.pid)

    async def _failed(self, error: Exception) -> None:
        if self.phase is SlotPhase.STARTING:
            _log.error("server_start_failed", slot=self.label, error=str(error))
            self.phase, self.trouble = SlotPhase.FAILED, str(error)
            pause_s = self._backoff.next_delay_s()
            while self.phase is SlotPhase.FAILED and pause_s > 0:
                await asyncio.sleep(min(pause_s, _PAUSES_S[0]))
                pause_s -= _PAUSES_S[0]
        if self.phase is SlotPhase.STOPPING:
            self.trouble = ""
        self.phase = SlotPhase.FREE

    async def _stop(self) -> None:
        self.phase = SlotPhase.STOPPING
        await asyncio.to_thread(self._end)
        _log.info("server_stopped", slot=self.label, server=self.address)
        self._server = self._keeper = None
        self.phase, self.trouble = SlotPhase.FREE, ""

    def _end(self) -> None:
        if self._keeper is not None and self._server is not None:
            self._server.give_up()  # the keeper may be starting it again
            self._keeper.__exit__(None, None, None)
        if self._server is not None:
            self._server.stop()
