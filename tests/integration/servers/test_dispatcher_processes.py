"""A process of several is kept: started again, killed where it is silent, drained at the end.

The process is a stand-in that is quick to start; a dispatcher in its place is in ``test_dispatch_program.py``.
"""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from narrows.contract.errors import ServiceError
from orchestrator.processes.metrics import ProcessMetrics
from orchestrator.processes.process import DispatcherProcess, Patience
from tests.integration.dispatch.rig import holds, until
from tests.integration.servers.processes import alive

SERVES = """
import asyncio, pathlib, signal, sys
folder = pathlib.Path(sys.argv[1])
path = sys.argv[sys.argv.index("--http") + 1].removeprefix("unix://")
async def answer(reader, writer):
    await reader.readuntil(b"\\r\\n\\r\\n")
    status = b"503 Sick" if (folder / "sick").exists() else b"200 OK"
    writer.write(b"HTTP/1.1 " + status + b"\\r\\nContent-Length: 2\\r\\nConnection: close\\r\\n\\r\\n{}")
    await writer.drain()
    writer.close()
async def main():
    stop = asyncio.Event()
    if "stubborn" not in sys.argv:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    else:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    pathlib.Path(path).unlink(missing_ok=True)
    async with await asyncio.start_unix_server(answer, path):
        with (folder / "pids").open("a") as file:
            file.write(f"{__import__('os').getpid()}\\n")
        await stop.wait()
        (folder / "drained").touch()
asyncio.run(main())
"""
EAGER = Patience(first_s=0.01, longest_s=0.02, ask_s=0.05, answer_s=0.5, misses=3, start_s=60.0)
LIMIT_S = 60.0


def restarts(metrics: ProcessMetrics) -> float:
    return metrics.registry.get_sample_value("narrows_dispatcher_process_restarts_total", {"process": "1"}) or 0.0


class Kept:
    """A process that is kept, and what is seen of it."""

    def __init__(self, folder: Path, words: Sequence[str], patience: Patience) -> None:
        self.folder, self.metrics = folder, ProcessMetrics(["1"])
        self.stop, self.hurry = asyncio.Event(), asyncio.Event()
        command = [sys.executable, "-c", SERVES, str(folder), *words]
        self.process = DispatcherProcess(1, command, folder, None, self.metrics, patience)

    @property
    def pids(self) -> list[int]:
        path = self.folder / "pids"
        return [int(line) for line in path.read_text().split()] if path.is_file() else []

    @property
    def restarts(self) -> float:
        return (
            self.metrics.registry.get_sample_value("narrows_dispatcher_process_restarts_total", {"process": "1"}) or 0
        )

    async def lives(self, count: int) -> int:
        """Wait until it was started so often and answers; its number."""
        await until(lambda: holds(lambda: len(self.pids) >= count and not self.process.trouble), limit_s=LIMIT_S)
        return self.pids[-1]


@asynccontextmanager
async def kept(folder: Path, *words: str, patience: Patience = EAGER) -> AsyncIterator[Kept]:
    found = Kept(folder, words, patience)
    running = asyncio.create_task(found.process.run(found.stop, found.hurry, must_start=True))
    try:
        yield found
    finally:
        found.stop.set()
        ended, _ = await asyncio.wait([running], timeout=LIMIT_S)
        for pid in found.pids if not ended else ():
            os.kill(pid, signal.SIGKILL)
        await running
    assert ended, "it did not end when it was told to"
    assert not [pid for pid in found.pids if alive(pid)]


async def test_one_that_is_killed_is_started_again_and_counted_and_says_so_meanwhile(tmp_path: Path) -> None:
    slowly = Patience(first_s=2.0, longest_s=2.0, ask_s=0.05)
    async with kept(tmp_path, patience=slowly) as it:
        os.kill(await it.lives(1), signal.SIGKILL)
        await until(lambda: holds(lambda: it.process.trouble.startswith("ended")), limit_s=LIMIT_S)
        with pytest.raises(ServiceError, match="ended with status 137; it is started again"):
            await it.process.ask("/readyz", 5.0)
        await it.lives(2)
        assert it.restarts == 1
        assert (await it.process.ask("/readyz", 5.0))[0] == 200


async def test_one_that_is_silent_is_killed_and_started_again(tmp_path: Path) -> None:
    async with kept(tmp_path) as it:
        os.kill(await it.lives(1), signal.SIGSTOP)
        await it.lives(2)
        assert it.restarts == 1


async def test_one_that_says_it_is_not_well_is_killed_and_started_again(tmp_path: Path) -> None:
    async with kept(tmp_path) as it:
        await it.lives(1)
        (tmp_path / "sick").touch()
        await until(lambda: holds(lambda: len(it.pids) == 2), limit_s=LIMIT_S)
        (tmp_path / "sick").unlink()
        await it.lives(2)
        assert it.restarts == 1


async def test_at_the_end_it_is_drained_and_not_started_again(tmp_path: Path) -> None:
    async with kept(tmp_path) as it:
        await it.lives(1)
    assert (tmp_path / "drained").exists()
    assert (len(it.pids), it.restarts) == (1, 0)


async def test_who_is_in_a_hurry_waits_for_no_draining(tmp_path: Path) -> None:
    """The stand-in takes no SIGTERM; the grace, which would end it too, is longer than what is waited here."""
    async with kept(tmp_path, "stubborn", patience=replace(EAGER, grace_s=10 * LIMIT_S)) as it:
        await it.lives(1)
        it.stop.set()
        it.hurry.set()
    assert not (tmp_path / "drained").exists()


async def test_one_that_ends_before_it_has_ever_answered_ends_all(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import sys; sys.exit(3)"]
    process = DispatcherProcess(1, command, tmp_path, None, ProcessMetrics(["1"]), EAGER)
    with pytest.raises(ServiceError, match="process 1 ended with status 3 before it answered"):
        await process.run(asyncio.Event(), asyncio.Event(), must_start=True)


async def test_another_that_does_so_is_tried_again(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import sys; sys.exit(3)"]
    metrics, stop = ProcessMetrics(["1"]), asyncio.Event()
    process = DispatcherProcess(1, command, tmp_path, None, metrics, EAGER)
    running = asyncio.create_task(process.run(stop, asyncio.Event(), must_start=False))
    await until(lambda: holds(lambda: restarts(metrics) >= 2), limit_s=LIMIT_S)
    stop.set()
    await running
