"""A loop's guard: an error ends one turn, is counted and said; cancellation and named trouble pass."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter

import pytest
from structlog.testing import capture_logs

from narrows.contract.errors import ServiceError
from narrows.runtime.loop_guard import LoopGuard, is_service_error


class Crashing:
    """A loop that an error ends so many times before it returns."""

    def __init__(self, times: int, error: Exception) -> None:
        self.begun, self._times, self._error = 0, times, error

    def turn(self) -> None:
        self.begun += 1
        if self.begun <= self._times:
            raise self._error

    async def loop(self) -> None:
        self.turn()


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("narrows.runtime.loop_guard._FIRST_S", 0.0)
    monkeypatch.setattr("narrows.runtime.loop_guard._LONGEST_S", 0.0)


async def test_a_loop_begins_anew_and_is_counted_each_time() -> None:
    counted, loop = Counter[str](), Crashing(3, ValueError("1e999"))
    with capture_logs() as logs:
        await LoopGuard(lambda name: counted.update([name])).keep("reading", loop.loop)
    assert (loop.begun, counted) == (4, {"reading": 3})
    assert [(line["loop"], line["exc_info"]) for line in logs] == [("reading", loop._error)]  # said once a minute


def test_a_thread_s_loop_begins_anew_until_it_is_to_end() -> None:
    counted, loop, ended = Counter[str](), Crashing(2, ValueError("x")), threading.Event()
    LoopGuard(lambda name: counted.update([name])).keep_in_thread("keeping", loop.turn, ended)
    assert (loop.begun, counted) == (3, {"keeping": 2})
    ended.set()
    LoopGuard().keep_in_thread("keeping", loop.turn, ended)
    assert loop.begun == 3


async def test_a_cancelled_loop_ends() -> None:
    began = asyncio.Event()

    async def loop() -> None:
        began.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(LoopGuard().keep("reading", loop))
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_one_record_s_error_leaves_its_neighbours() -> None:
    counted, read = Counter[str](), []
    guard = LoopGuard(lambda name: counted.update([name]))
    for each in ("1", "junk", "3"):
        with guard.one("reading", each):
            read.append(int(each))
    assert (read, counted) == ([1, 3], {"reading": 1})


def test_what_concerns_every_record_passes() -> None:
    with pytest.raises(ServiceError), LoopGuard().one("reading", "cam-1", passing=is_service_error):
        raise ServiceError("Redis is away")


def test_another_error_is_said_though_one_was_just_now() -> None:
    seconds = iter((0.0, 1.0, 2.0, 61.0))
    guard = LoopGuard(monotonic=lambda: next(seconds))
    with capture_logs() as logs:
        for message in ("a", "a", "b", "a"):
            with guard.one("reading", "cam-1"):
                raise ValueError(message)
    assert [line["error"] for line in logs] == ["ValueError('a')", "ValueError('b')", "ValueError('a')"]
