"""One of several dispatcher processes: started, asked how it is, and started again whenever it ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import aiohttp
import structlog

from narrows.contract.errors import ServiceError
from narrows.runtime.backoff import Backoff
from narrows.runtime.cancelling import cancel_all
from narrows.runtime.http import UNIX, bearer_headers
from orchestrator.processes.metrics import ProcessMetrics
from orchestrator.servers.guarded import Guarded

_log = structlog.get_logger(__name__)
_LOOK_S = 0.1


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a process may be down or silent.

    Attributes:
        first_s, longest_s: before it is started again, doubling.
        steady_s: one that ran so long is started again as soon as at first.
        ask_s: between two questions whether it lives, once it has answered; before that it is asked all the time.
        answer_s: in which it must answer them.
        misses: questions in a row without an answer, after which it is killed.
        start_s: until its first answer; Redis alone is waited for up to 30 s.
        grace_s: between SIGTERM and SIGKILL. A dispatcher gives what is in flight 5 s; a container, 20 s in our stacks,
            shall end after its processes.
    """

    first_s: float = 0.2
    longest_s: float = 10.0
    steady_s: float = 60.0
    ask_s: float = 5.0
    answer_s: float = 5.0
    misses: int = 6
    start_s: float = 120.0
    grace_s: float = 15.0


class DispatcherProcess:
    """A process that serves HTTP on a socket of its own.

    Attributes:
        number: from 1; what its metrics and its lines in the log are told apart by.
        served: set once it has answered for the first time.
        trouble: why it cannot answer now; empty while it may.
    """

    def __init__(
        self,
        number: int,
        command: Sequence[str],
        folder: Path,
        token: str | None,
        metrics: ProcessMetrics,
        patience: Patience = Patience(),
    ) -> None:
        """Start nothing yet.

        Args:
            number: as the attribute.
            command: ``narrows orchestrate`` and its options, as they were given.
            folder: where its socket lies, which only this user may enter.
            token: what its ``/metrics`` asks for.
            metrics: count how often it was started again.
            patience: with it.
        """
        self.number = number
        self.served = asyncio.Event()
        self.trouble = "starting"
        self._socket = folder / f"{number}.sock"
        self._command = (
            *(*command, "--processes", "1", "--process", str(number)),
            *("--http", f"{UNIX}{self._socket}"),  # of an option that is given twice the last is taken
        )
        self._headers, self._patience = bearer_headers(token), patience
        self._restarts = metrics.restarts.labels(str(number))

    async def run(self, stop: asyncio.Event, hurry: asyncio.Event, *, must_start: bool) -> None:
        """Keep it until ``stop``; then wait until what it has in hand is done, or ``hurry`` is set.

        Args:
            stop: asks it to end.
            hurry: ends it at once.
            must_start: what ends before it has ever answered is not started again: it would end again.

        Raises:
            ServiceError: it ended before it answered.
        """
        backoff = Backoff(self._patience.first_s, self._patience.longest_s)
        while not stop.is_set():
            began_s = time.monotonic()
            how = await self._live(stop, hurry)
            if stop.is_set():
                return
            if must_start and not self.served.is_set():
                raise ServiceError(f"dispatcher process {self.number} {how} before it answered: its log says why")
            if time.monotonic() - began_s > self._patience.steady_s:
                backoff.reset()
            again_in_s = backoff.next_delay_s()
            self.trouble = f"{how}; it is started again"
            self._restarts.inc()
            _log.error("dispatcher_process_ended", process=self.number, how=how, again_in_s=round(again_in_s, 2))
            with suppress(TimeoutError):
                async with asyncio.timeout(again_in_s):
                    await stop.wait()

    async def ask(self, path: str, within_s: float) -> tuple[int, bytes]:
        """What it answers to a GET: status and body.

        Raises:
            ServiceError: it does not answer in time.
        """
        timeout = aiohttp.ClientTimeout(total=within_s)
        try:
            async with (
                aiohttp.ClientSession(connector=aiohttp.UnixConnector(path=str(self._socket))) as session,
                session.get(f"http://localhost{path}", headers=self._headers, timeout=timeout) as response,
            ):
                return response.status, await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ServiceError(self.trouble or "does not answer") from error

    async def _live(self, stop: asyncio.Event, hurry: asyncio.Event) -> str:
        """From its start to its end; how it ended."""
        try:
            child = Guarded.start(self._command, log=None, grace_s=self._patience.grace_s)
        except (ServiceError, OSError) as error:  # no process may be had, or no memory
            return f"did not start ({error})"
        _log.info("dispatcher_process_started", process=self.number, pid=child.pid)
        watching = asyncio.create_task(self._silent())
        try:
            while (status := child.poll()) is None:
                if hurry.is_set() or watching.done():
                    child.kill()
                elif stop.is_set():
                    child.terminate()
                await asyncio.sleep(_LOOK_S)
        finally:
            silent = watching.done()
            await cancel_all([watching])
            child.stop()
        return "was silent and was killed" if silent else f"ended with status {status}"

    async def _silent(self) -> None:
        """Ask whether it lives, and return when it has not answered for too long."""
        patience, misses, began_s, answered = self._patience, 0, time.monotonic(), False
        while misses < patience.misses or (not answered and time.monotonic() - began_s < patience.start_s):
            try:
                status, _ = await self.ask("/healthz", patience.answer_s)
                misses = 0 if status == HTTPStatus.OK else misses + 1
            except ServiceError:
                misses += 1
            if misses == 0:
                answered, self.trouble = True, ""
                self.served.set()
            await asyncio.sleep(patience.ask_s if answered else _LOOK_S)
