"""The supervisor of several dispatcher processes as a process."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from narrows.runtime.cancelling import cancel_all
from narrows.runtime.http import app_replying, serve
from narrows.runtime.listening import HTTP_OPTION, TOKEN_OPTION, check_exposure
from narrows.runtime.run_program import run_program
from orchestrator.processes.exposure import ProcessesExposure
from orchestrator.processes.metrics import ProcessMetrics
from orchestrator.processes.process import DispatcherProcess

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ProcessesOptions:
    """How many dispatchers, and what they are started with.

    Attributes:
        command: ``narrows orchestrate`` and its options, as they were given; each process adds its own to it.
        http: where all are asked; each process has a socket besides, in a folder that only this user may enter.
    """

    command: Sequence[str]
    count: int
    http: str
    http_token: str | None
    log_level: str


def run_processes(options: ProcessesOptions) -> None:
    """Run until SIGTERM or SIGINT, which drain every process; a second one kills them.

    Raises:
        ServiceError: they cannot begin; the message, or the first process's before it, says why.
    """
    hurry = asyncio.Event()
    run_program(lambda stop: _run(options, stop, hurry), options.log_level, hurry=hurry)


async def _run(options: ProcessesOptions, stop: asyncio.Event, hurry: asyncio.Event) -> None:
    check_exposure(options.http, options.http_token, HTTP_OPTION, TOKEN_OPTION)
    numbers = range(1, options.count + 1)
    with tempfile.TemporaryDirectory(prefix="narrows-") as folder:
        metrics = ProcessMetrics(map(str, numbers))
        processes = [
            DispatcherProcess(number, options.command, Path(folder), options.http_token, metrics) for number in numbers
        ]
        exposure = ProcessesExposure(processes, metrics, options.http_token)
        async with serve(app_replying(exposure.reply), options.http) as address:
            _log.info("dispatcher_processes_started", processes=options.count, http=address)
            await _keep(processes, exposure, stop, hurry)
    _log.info("dispatcher_processes_stopped")


async def _keep(
    processes: Sequence[DispatcherProcess], exposure: ProcessesExposure, stop: asyncio.Event, hurry: asyncio.Event
) -> None:
    """Run them until ``stop``. The first begins alone: what is wrong with the options, it says once."""
    first, *others = processes
    running = [asyncio.create_task(first.run(stop, hurry, must_start=True))]
    asked, served = asyncio.create_task(stop.wait()), asyncio.create_task(first.served.wait())
    try:
        await asyncio.wait([*running, asked, served], return_when=asyncio.FIRST_COMPLETED)
        if first.served.is_set():
            running += [asyncio.create_task(other.run(stop, hurry, must_start=False)) for other in others]
        await asyncio.wait([*running, asked], return_when=asyncio.FIRST_COMPLETED)
    finally:
        exposure.stopping = True
        stop.set()
        await asyncio.wait(running)
        await cancel_all([asked, served])
    for each in running:
        each.result()
