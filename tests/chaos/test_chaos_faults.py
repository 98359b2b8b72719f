"""Each fault, on the real processes, under load: the accounts agree, service is back in time, the cause has a name."""

import asyncio
import os
import subprocess
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from benchmarks.chaos.fleet import Fleet
from benchmarks.chaos.frame_accounting import balance
from benchmarks.chaos.injections import INJECTIONS
from benchmarks.chaos.parts import Parts
from benchmarks.chaos.reel import Reel
from narrows.contract.bundle import Bundle
from narrows.contract.errors import ServiceError
from narrows.runtime.triton_config import fill_repository
from orchestrator.telemetry.faults import Cause

BACK_S, BACK_BUSY_S = 5.0, 60.0


def _in_time_s() -> float:
    """The promise; where other work fills the cores there is none to be held to, only an end to waiting."""
    return BACK_S if os.getloadavg()[0] < 1.5 * (os.cpu_count() or 1) else BACK_BUSY_S


@asynccontextmanager
async def held_to_its_word(
    parts: Parts, fleet: Fleet, causes: Sequence[Cause]
) -> AsyncIterator[Callable[[float], None]]:
    """What must be true of a fault in the block, which calls what it is given with the moment of the part's return."""
    counted, before = await _counted_and_told(parts, causes)
    backs: list[float] = []
    yield backs.append
    took_s = await fleet.back_after(backs[0])
    await fleet.settle()
    accounts = await balance(fleet)
    assert [(line.stream, line.troubles) for line in accounts if line.troubles] == []
    assert sum(line.mask for line in accounts) > 0
    assert took_s < _in_time_s(), f"service was back {took_s:.1f} s after the part was"
    counted_then, told_then = await _counted_and_told(parts, causes)
    told = told_then - before
    assert counted_then - counted == told.total()
    assert min(1, len(causes)) <= told.total() <= len(causes) * len(parts.dispatchers), told


@pytest.mark.parametrize("name", INJECTIONS)
async def test_every_frame_ends_once_and_service_is_back_and_the_cause_is_named(
    parts: Parts, playing: AbstractAsyncContextManager[Fleet], name: str
) -> None:
    injection = INJECTIONS[name]
    await asyncio.to_thread(parts.wait_ready)
    async with playing as fleet:
        await fleet.back_after(time.monotonic())
        async with held_to_its_word(parts, fleet, injection.causes) as back:
            back(await _struck(injection.strike(parts, 0)))


async def test_a_disk_full_at_model_load_is_named_and_waited_out(
    demo_bundle: Bundle, reel: Reel, tmp_path: Path, small_disk: Path
) -> None:
    with Parts(demo_bundle, tmp_path, dispatchers=1, load_model=False) as parts:
        playing = Fleet(parts.redis_url, reel, "disk", cameras=2, frames_per_s=5).play()
        async with playing as fleet, held_to_its_word(parts, fleet, [Cause.TRITON_MODEL_MISSING]) as back:
            with pytest.raises(ServiceError, match="No space left"):
                fill_repository(demo_bundle, parts.repository)
            while not parts.fault_lines(Cause.TRITON_MODEL_MISSING):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.05)
            await asyncio.to_thread(enlarge, small_disk)
            fill_repository(demo_bundle, parts.repository)
            back(time.monotonic())


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB where the model repository will be."""
    folder = tmp_path / "model_repository"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "narrows-test", str(folder)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a small disk")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def enlarge(disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=32m", disk], check=True)


async def _struck(injection: Awaitable[float]) -> float:
    try:
        return await injection
    except PermissionError as error:
        pytest.skip(str(error))


async def _counted_and_told(parts: Parts, causes: Sequence[Cause]) -> tuple[float, Counter[str]]:
    """Both as they were at one moment: read until nothing was counted in between."""
    while True:
        counted, told = _counted(parts, causes), _told(parts, causes)
        await asyncio.sleep(0.2)
        if (counted, told) == (_counted(parts, causes), _told(parts, causes)):
            return counted, told


def _counted(parts: Parts, causes: Sequence[Cause]) -> float:
    return sum(map(parts.faults, causes))


def _told(parts: Parts, causes: Sequence[Cause]) -> Counter[str]:
    """Each line as often as it stands there: two dispatchers may say the same in the same microsecond."""
    return Counter(line for cause in causes for line in parts.fault_lines(cause))
